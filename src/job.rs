//! Backups from due to recorded: hosts and what they back up, jobs merged from reports, and the records they leave.

pub mod arm;
pub mod error;
pub mod hello;
pub mod pending;
pub mod schedule;
pub mod settle;
pub mod slot;
pub mod state;

pub use error::JobError;
