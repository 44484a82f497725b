//! What a keeper tells the process that started it.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a keeper says once, in one line on its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    Ready,
    Failed(Failure),
}

/// Why there is no server; the log has the rest.
#[derive(Debug, Serialize, Deserialize)]
pub enum Failure {
    Prepare(String),
    Start(String),
}

impl Failure {
    pub fn file(action: &str, path: &Path, error: &std::io::Error) -> Failure {
        Failure::Prepare(format!("cannot {action} {}: {error}", path.display()))
    }
}
