//! Archives in a directory: `REPOSITORY/RECORD/{payload, manifest.json}`, there whole or not at all.
//!
//! A payload is written below `.RECORD.tmp`, hashed as it is stored, synced, and the directory is renamed once its source
//! has said that it is done. So nothing half written is ever visible, and a failure leaves nothing.

mod manifest;
mod read;
mod write;

pub use manifest::{Compression, FILE as MANIFEST, Manifest};
pub use read::{Guard, read_manifest, restore, verify};
pub use write::{Stored, Writer, remove};

/// Why an archive could not be written, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot {action} {}: {error}", path.display())]
    File { action: &'static str, path: std::path::PathBuf, error: std::io::Error },
    #[error("archive {record} is there already")]
    Exists { record: String },
    #[error("{} has no archive {record}", repository.display())]
    Unknown { repository: std::path::PathBuf, record: String },
    #[error("archive {record} is damaged: {reason}")]
    Damaged { record: String, reason: String },
    #[error("archive {record} is of group \"{is}\", not of \"{wanted}\"; name the group that it is of")]
    OtherGroup { record: String, is: String, wanted: String },
    #[error("{} is there and not empty; restore into a new place", path.display())]
    InTheWay { path: std::path::PathBuf },
}

impl ArchiveError {
    fn file(action: &'static str, path: &std::path::Path, error: std::io::Error) -> ArchiveError {
        ArchiveError::File { action, path: path.to_owned(), error }
    }
}
