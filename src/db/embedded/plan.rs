//! What a keeper is told by the process that starts it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::account::Account;

/// The server that is wanted, with everything decided; it travels as the keeper's argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub root: PathBuf,
    pub account: Account,
    /// The directory of `postgres` and `initdb`, and their version.
    pub binaries: PathBuf,
    pub version: String,
    pub durable: bool,
    pub grace_ms: u64,
    pub wipe_at_stop: bool,
}

impl Plan {
    /// As the keeper's argument `--plan`.
    pub fn to_argument(&self) -> String {
        serde_json::to_string(self).expect("a plan is plain data")
    }
}
