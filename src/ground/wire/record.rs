//! A record as its host puts it: `PUT /v1/agent/records/{id}`, with `If-None-Match: *` or `If-Match`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{GroupId, JobId, RecordId, RepositoryId};

/// One archive. The same digest again is 200, another one 412.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordPut {
    pub record: RecordId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    pub repository: RepositoryId,
    pub source_group: GroupId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    pub bytes_total: u64,
    pub bytes_added: u64,
    /// Of the stored bytes; none where the repository's own program vouches for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
}
