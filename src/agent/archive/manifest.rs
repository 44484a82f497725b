//! What is said beside an archive, in the clear.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ground::wire::config::SourceKind;
use crate::ground::wire::id::{GroupId, JobId, RecordId};

/// The manifest's file.
pub const FILE: &str = "manifest.json";

/// Version of the manifest.
pub const VERSION: u32 = 1;

/// Largest manifest that is read, in bytes; ours have less than one in a thousand of it.
pub const MOST_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    Zstd,
}

/// An archive's manifest; one id for record, manifest and archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub record: RecordId,
    pub job: JobId,
    pub host: String,
    pub group: GroupId,
    pub group_name: String,
    pub kind: SourceKind,
    pub payload: String,
    pub compression: Compression,
    /// Of the stored bytes.
    pub sha256: String,
    pub stored_bytes: u64,
    pub source_bytes: u64,
    pub files: Option<u64>,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
}

impl Manifest {
    /// Name of the payload of a source.
    pub fn payload_name(kind: SourceKind, compression: Compression) -> String {
        let stem = match kind {
            SourceKind::Directory => "payload.tar",
            SourceKind::Command | SourceKind::Restic => "payload",
        };
        match compression {
            Compression::None => stem.to_owned(),
            Compression::Zstd => format!("{stem}.zst"),
        }
    }
}
