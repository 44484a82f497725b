//! The first words of an agent, and after every wake-up; and its enrolment before them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{HostId, JobId, LeaseToken, Rev};

/// `POST /v1/agent/enrol`: a one-time code for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    pub code: String,
    /// What the machine calls itself; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The answer to an enrolment. The token is told once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    pub host: HostId,
    pub name: String,
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Without the token.
impl std::fmt::Debug for Enrolled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Enrolled")
            .field("host", &self.host)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// `POST /v1/agent/hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub boot_id: String,
    pub epoch: i64,
    pub version: String,
    /// The host's clock when this was written.
    pub clock: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mono_ms: Option<i64>,
    #[serde(default)]
    pub outbox: Figures,
}

/// How full an outbox is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Entries that wait.
    #[serde(default)]
    pub pending: u64,
    #[serde(default)]
    pub pending_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<DateTime<Utc>>,
    /// Everything up to this sequence number is answered.
    #[serde(default)]
    pub drained_to: i64,
    #[serde(default)]
    pub conflict: u64,
    #[serde(default)]
    pub dead: u64,
}

/// The answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub server_time: DateTime<Utc>,
    pub config_rev: Rev,
    /// Jobs that the server believes this host to hold.
    #[serde(default)]
    pub leases: Vec<Held>,
}

/// A job under a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub job: JobId,
    pub lease_token: LeaseToken,
    pub lease_until: DateTime<Utc>,
    #[serde(default)]
    pub cancel: bool,
}
