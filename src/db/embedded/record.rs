//! What a keeper tells everyone while it lives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::location::Location;
use super::plan::Plan;

/// What a keeper writes into the file of its lock; it holds as long as the lock is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub pid: i32,
    pub version: String,
    pub binaries: PathBuf,
}

impl Record {
    /// What the location's last keeper wrote.
    pub fn read(location: &Location) -> Option<Record> {
        serde_json::from_slice(&std::fs::read(location.keeper()).ok()?).ok()
    }

    /// Whether a command line is that of a keeper of this location.
    pub fn is_command_line(text: &str, location: &Location) -> bool {
        let mut arguments = text.split('\0').skip_while(|argument| *argument != "--plan");
        let plan = arguments.nth(1).and_then(|plan| serde_json::from_str::<Plan>(plan).ok());
        plan.is_some_and(|plan| plan.root == location.root())
    }
}
