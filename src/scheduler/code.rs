//! Jobs in code: their work is done by Rust handlers of an application that embeds the worker.
//!
//! The [`program`] says which jobs, rollups and handlers an application has, and registers them when its worker starts;
//! a [`spec`] is one job; a [`run`] is what its handler is given. A worker claims only jobs whose handlers it has, so
//! that any number of applications and plain workers share one ledger.

pub mod program;
pub mod run;
pub mod spec;
