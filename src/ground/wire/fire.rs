//! A slot that the host's own cron saw come: told to the server before anything runs, so that both never run one slot.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::id::{GroupId, RunId, ScheduleId};

/// `POST /v1/agent/fires`, with [`Fire::key`] as the Idempotency-Key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fire {
    pub schedule: ScheduleId,
    pub source_group: GroupId,
    pub slot_at: DateTime<Utc>,
}

/// The answer: 201 for a new run, 200 for the one that there is. It waits to be claimed like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    pub run: RunId,
    /// The state of the run: `waiting`, `claimed`, `dispatched`, ...
    pub state: String,
}

impl Fire {
    /// `schedule:group:slot`, the slot in UTC to the second.
    ///
    /// ```
    /// use highwater::ground::wire::fire::Fire;
    /// use highwater::ground::wire::id::{GroupId, ScheduleId};
    /// let id = "01980000-0000-7000-8000-000000000001";
    /// let fire = Fire {
    ///     schedule: id.parse().unwrap(),
    ///     source_group: id.parse().unwrap(),
    ///     slot_at: "2026-11-22T12:00:00+09:00".parse().unwrap(),
    /// };
    /// assert_eq!(fire.key(), format!("{id}:{id}:2026-11-22T03:00:00Z"));
    /// ```
    pub fn key(&self) -> String {
        let slot = self.slot_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("{}:{}:{slot}", self.schedule, self.source_group)
    }
}
