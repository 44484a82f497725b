//! Whether every group is as fresh as was promised, and where each stands.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::JobError;
use crate::db::{DbError, Executor};
use crate::ground::wire::id::{GroupId, HostId, JobId};

/// How a group of a host stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    pub tenant: String,
    pub host: String,
    pub host_id: HostId,
    pub mode: String,
    /// `enrolling`, `online`, `offline`, or `asleep`: offline and intermittent.
    pub host_state: String,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub group: String,
    pub source_group: GroupId,
    /// How old the last good backup may become; `None`: nobody asked.
    pub rpo_seconds: Option<i64>,
    pub last_success_at: Option<DateTime<Utc>>,
    pub last_success_job: Option<JobId>,
    /// Age of the last good backup; of a group that has none, its own.
    pub age_seconds: f64,
    pub is_over_rpo: bool,
    pub next_slot_at: Option<DateTime<Utc>>,
    pub consecutive_failures: i32,
    /// Slots of the last 30 days that are missed.
    pub missed_slots: i64,
}

/// Every group of every host that is not retired, by tenant, host and name.
///
/// # Errors
///
/// What the server says.
pub async fn standing(
    db: &impl Executor,
    tenant: Option<&str>,
    host: Option<&str>,
) -> Result<Vec<Standing>, JobError> {
    let statement = include_str!("../../sql/job/standing.sql");
    let rows = db.query(statement, &[&tenant.map(str::to_owned), &host.map(str::to_owned)]).await?;
    Ok(rows
        .iter()
        .map(|row| Standing {
            tenant: row.get("tenant"),
            host: row.get("host"),
            host_id: HostId(row.get("host_id")),
            mode: row.get("mode"),
            host_state: row.get("host_state"),
            last_seen_at: row.get("last_seen_at"),
            group: row.get("group_name"),
            source_group: GroupId(row.get("source_group")),
            rpo_seconds: row.get("rpo_seconds"),
            last_success_at: row.get("last_success_at"),
            last_success_job: row.get::<_, Option<Uuid>>("last_success_job").map(JobId),
            age_seconds: row.get("age_seconds"),
            is_over_rpo: row.get("is_over_rpo"),
            next_slot_at: row.get("next_slot_at"),
            consecutive_failures: row.get("consecutive_failures"),
            missed_slots: row.get("missed_slots"),
        })
        .collect())
}

/// What a monitor watches of all backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Gauges {
    /// Groups whose last good backup is older than was promised.
    pub over_rpo: i64,
    /// Runs that wait for their host.
    pub waiting: i64,
    /// Jobs in hosts' hands, or about to be.
    pub in_hand: i64,
    /// Hosts that are armed.
    pub armed: i64,
    /// Schedules whose slot came over a minute ago and is not on the ledger: no worker writes slots.
    pub late_schedules: i64,
}

/// Reads the gauges.
///
/// # Errors
///
/// What the server says.
pub async fn gauges(db: &impl Executor) -> Result<Gauges, DbError> {
    let row = db.query_one(include_str!("../../sql/job/backup_gauges.sql"), &[]).await?;
    Ok(Gauges {
        over_rpo: row.get("over_rpo"),
        waiting: row.get("waiting"),
        in_hand: row.get("in_hand"),
        armed: row.get("armed"),
        late_schedules: row.get("late_schedules"),
    })
}
