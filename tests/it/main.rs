//! All tests against a real Postgres: one binary, so that they link once; one file per subject.

mod embedded;
mod isolation;
mod support;
