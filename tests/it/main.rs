//! All tests against a real Postgres: one binary, so that they link once; one file per subject.

mod embedded;
mod floors;
mod isolation;
mod rollup;
mod sql_files;
mod states;
mod support;
