//! The epoch: a counter that is raised and synced at every start, so that (host, epoch, seq) never repeats, also when
//! the queue was empty and the sequence begins anew.

use std::fs;
use std::io::ErrorKind;

use super::super::AgentError;
use super::durable::place_durably;
use super::layout::{Layout, Place};

/// The counter's file, in the agent's directory.
const FILE: &str = "epoch";

/// Raises the epoch above what is recorded and above `seen`, the highest of the entries that are there.
///
/// # Errors
///
/// [`AgentError::BadEpoch`] when the file holds no number: a guess could repeat an epoch.
pub fn raise(layout: &Layout, seen: i64) -> Result<i64, AgentError> {
    let epoch = read(layout)?.max(seen) + 1;
    let aside = layout.directory(Place::Tmp).join(FILE);
    place_durably(&aside, &layout.root().join(FILE), format!("{epoch}\n").as_bytes())?;
    Ok(epoch)
}

/// The epoch of the last start; 0 before the first.
///
/// # Errors
///
/// As `raise`.
pub fn read(layout: &Layout) -> Result<i64, AgentError> {
    let path = layout.root().join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| AgentError::BadEpoch { path, text: text.chars().take(20).collect() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(AgentError::file("read", &path, error)),
    }
}
