//! One attempt at a backup: its graph, its actions, its reports.

mod actions;
mod backup;
pub mod checks;
mod hook;
mod outcome;
mod prune;
mod task;

pub use actions::{Parts, graph};
pub use outcome::{Verdict, judge};
pub use task::{Task, attempt};
