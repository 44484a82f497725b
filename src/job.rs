//! Backups from due to recorded: hosts and what they back up, jobs merged from reports, and the records they leave.

pub mod state;
