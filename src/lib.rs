//! highwater keeps exact hourly rollups, and the upgrades that depend on them, inside the Postgres that a team
//! already runs. `docs/ARCHITECTURE.md` draws how data flows; the wings below import only downward.

pub mod agent;
pub mod api;
pub mod cli;
pub mod command;
pub mod demo;
pub mod job;
pub mod migrate;
pub mod rollup;
pub mod scheduler;

pub mod db;
pub mod ground;

// What an application that embeds the worker begins with.
pub use db::target::Target;
pub use db::{Executor, Param};
pub use ground::shutdown::Shutdown;
pub use rollup::definition::Definition;
pub use scheduler::code::run::{Ended, Run, RunError};
pub use scheduler::code::spec::{JobSpec, Scopes};
pub use scheduler::embed::Worker;
