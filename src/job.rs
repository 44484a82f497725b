//! Backups from due to recorded: hosts and what they back up, jobs merged from reports, and the records they leave.

pub mod alarm;
pub mod arm;
pub mod backup;
pub mod channel;
pub mod config;
pub mod cursor;
pub mod delivery;
pub mod error;
pub mod event;
pub mod group;
pub mod hello;
pub mod host;
pub mod name;
pub mod pending;
pub mod publish;
pub mod record;
pub mod retention;
pub mod rpo;
pub mod schedule;
pub mod secret;
pub mod settle;
pub mod slot;
pub mod state;
pub mod sweep;
pub mod telling;
pub mod why;

pub use error::JobError;
