//! Arms: hosts that may have missed something. A hello sets one, the sweep sets the others, and a look at it decides:
//! all hosts at once, each state of an arm in one statement.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::JobError;
use super::schedule::Host;
use crate::db::{Executor, Tx};
use crate::ground::wire::id::HostId;

/// A busy host, and one whose reports still come in, is looked at again after this.
const PUT_OFF_SECONDS: i64 = 15;

/// So long after its hello a host's outbox is waited for: a backup that is done and not reported would be run again.
const OUTBOX_SECONDS: i64 = 600;

/// A host that says nothing for this long is away; agents speak every 25 seconds.
const SILENCE_SECONDS: i64 = 90;

/// What a look at all due arms came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    pub hosts: i64,
    /// Hosts that were put off.
    pub kept: i64,
    /// Runs that are owed now.
    pub runs: i64,
}

/// Settings for the transaction of one pass: looks by index, whatever the statistics say, and nothing compiled.
///
/// # Errors
///
/// What the server says.
pub async fn settings(tx: &Tx<'_>) -> Result<(), JobError> {
    tx.query(include_str!("../../sql/job/pass_settings.sql"), &[]).await?;
    Ok(())
}

/// Looks at every host whose arm is due. Arms that another transaction looks at are passed over.
///
/// # Errors
///
/// What the server says.
pub async fn evaluate(db: &impl Executor) -> Result<Looked, JobError> {
    let statement = include_str!("../../sql/job/evaluate_arms.sql");
    let row = db.query_one(statement, &[&PUT_OFF_SECONDS, &OUTBOX_SECONDS]).await?;
    Ok(Looked { hosts: row.get("looked_at"), kept: row.get("kept"), runs: row.get("runs") })
}

/// Arms every host that is there and has something overdue. Returns how many were not armed already.
///
/// # Errors
///
/// What the server says.
pub async fn sweep(db: &impl Executor) -> Result<usize, JobError> {
    Ok(db.query(include_str!("../../sql/job/sweep_arms.sql"), &[]).await?.len())
}

/// Takes silent hosts for away and drops their arms. Returns how many there were.
///
/// # Errors
///
/// What the server says.
pub async fn mark_offline(db: &impl Executor) -> Result<i64, JobError> {
    let statement = include_str!("../../sql/job/mark_offline.sql");
    Ok(db.query_one(statement, &[&SILENCE_SECONDS]).await?.get("gone"))
}

/// Arms a host by hand: it is looked at by the next pass.
///
/// # Errors
///
/// What the server says.
pub async fn arm(db: &impl Executor, host: &Host) -> Result<DateTime<Utc>, JobError> {
    Ok(db.query_one(include_str!("../../sql/job/arm_by_hand.sql"), &[&host.id.0]).await?.get("due_at"))
}

/// An arm, with what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    pub tenant: String,
    pub host: String,
    pub host_id: HostId,
    pub mode: String,
    pub state: String,
    pub due_at: DateTime<Utc>,
    /// `hello`, `sweep` or `manual`.
    pub armed_by: String,
    pub armed_at: DateTime<Utc>,
    /// How often it was put off.
    pub tries: i32,
    pub outbox_pending: i64,
    pub is_busy: bool,
    /// Schedules and groups that are overdue now.
    pub overdue: i64,
}

/// Hosts that are armed, those due first; at most a thousand.
///
/// # Errors
///
/// What the server says.
pub async fn list(
    db: &impl Executor,
    tenant: Option<&str>,
    host: Option<&str>,
) -> Result<Vec<Arm>, JobError> {
    let statement = include_str!("../../sql/job/arms.sql");
    let rows = db.query(statement, &[&tenant.map(str::to_owned), &host.map(str::to_owned)]).await?;
    Ok(rows
        .iter()
        .map(|row| Arm {
            tenant: row.get("tenant"),
            host: row.get("host"),
            host_id: HostId(row.get("host_id")),
            mode: row.get("mode"),
            state: row.get("state"),
            due_at: row.get("due_at"),
            armed_by: row.get("armed_by"),
            armed_at: row.get("armed_at"),
            tries: row.get("tries"),
            outbox_pending: row.get("outbox_pending"),
            is_busy: row.get("is_busy"),
            overdue: row.get("overdue"),
        })
        .collect())
}
