//! Work for a host, and the lease under which it is done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{GroupId, JobId, LeaseToken, RecordId, RepositoryId, RunId, ScheduleId};
use super::state::{JobKind, Reason};

/// `GET /v1/agent/work?wait=25`: what was claimed for this host; empty when the wait was in vain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    #[serde(default)]
    pub work: Vec<Assignment>,
}

/// One job that this host is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub job: JobId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(default = "backup")]
    pub kind: JobKind,
    pub source_group: GroupId,
    pub repository: RepositoryId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_at: Option<DateTime<Utc>>,
    pub reason: Reason,
    pub attempt: u32,
    pub lease_token: LeaseToken,
    pub lease_until: DateTime<Utc>,
    /// Archives of the group in this repository that are to go, as the server's retention found them.
    #[serde(default)]
    pub prune: Vec<Prunable>,
}

/// An archive that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prunable {
    pub record: RecordId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Why: `keep-last 3`, ...
    #[serde(default)]
    pub reason: String,
}

fn backup() -> JobKind {
    JobKind::Backup
}

/// `POST /v1/agent/jobs/{id}/lease`, If-Match the token as an ETag. Also acknowledges a dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    pub lease_until: DateTime<Utc>,
    /// Somebody wants the job to end.
    #[serde(default)]
    pub cancel: bool,
}

impl LeaseToken {
    /// The token as a strong ETag.
    pub fn etag(self) -> String {
        format!("\"{}\"", self.0)
    }

    /// Reads an ETag; none for another form.
    pub fn of_etag(text: &str) -> Option<LeaseToken> {
        text.strip_prefix('"')?.strip_suffix('"')?.parse().ok().map(LeaseToken)
    }
}
