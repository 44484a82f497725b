//! One file, whole or not at all: written aside, synced, renamed. The directory is synced by the caller, once for many.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::AgentError;
use super::layout::{FILE_MODE, sync_directory};
use crate::ground::fault;

/// Writes `bytes` to `aside`, syncs it and renames it to `path`. It is durable once the directory of `path` is synced.
///
/// # Errors
///
/// [`AgentError::DiskFull`] or [`AgentError::File`]; then nothing is left at either path.
pub fn place(aside: &Path, path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    let written = write_synced(aside, bytes).and_then(|()| {
        fault::point("outbox.synced");
        fs::rename(aside, path).map_err(|error| AgentError::file("rename", aside, error))
    });
    if written.is_err() {
        // A start-up would clear it too; but the space is wanted now.
        let _ = fs::remove_file(aside);
    }
    fault::point("outbox.renamed");
    written
}

/// `place` and the sync of the directory.
///
/// # Errors
///
/// As `place`.
pub fn place_durably(aside: &Path, path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    place(aside, path, bytes)?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|error| AgentError::file("make", path, error))?;
    fault::point("outbox.created");
    // In two pieces, so that a fault between them leaves what a crash may leave.
    let (head, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(head).map_err(|error| AgentError::file("write", path, error))?;
    fault::point("outbox.half");
    file.write_all(rest).map_err(|error| AgentError::file("write", path, error))?;
    fault::point("outbox.written");
    file.sync_all().map_err(|error| AgentError::file("sync", path, error))
}
