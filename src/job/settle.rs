//! Settling: what has ended is answered for, on the run, on the slot and on the schedule's progress; what will never start
//! is given up with a reason. Every step is one statement over all hosts.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::JobError;
use super::slot::IN_TIME_SECONDS;
use crate::db::{Executor, Tx};

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Jobs that hosts had begun by themselves and that now answer a slot.
    pub adopted: usize,
    /// Runs that ended well.
    pub good: usize,
    /// Slots that a good run serves beside its own.
    pub covered: i64,
    /// Runs that were handed out without an answer.
    pub requeued: i64,
    /// Runs that will never start.
    pub expired: i64,
}

/// Settles what has ended since the last pass. Rows that another transaction works on are passed over.
///
/// # Errors
///
/// What the server says.
pub async fn pass(tx: &Tx<'_>) -> Result<Settled, JobError> {
    let adopted = tx.query(include_str!("../../sql/job/adopt_jobs.sql"), &[]).await?.len();
    let good = tx.query(include_str!("../../sql/job/settle_runs.sql"), &[]).await?;
    let mut covered = 0;
    if !good.is_empty() {
        let groups: Vec<Uuid> = good.iter().map(|row| row.get("source_group")).collect();
        let begun: Vec<DateTime<Utc>> = good.iter().map(|row| row.get("begun_at")).collect();
        let ended: Vec<DateTime<Utc>> = good.iter().map(|row| row.get("good_at")).collect();
        let jobs: Vec<Uuid> = good.iter().map(|row| row.get("job")).collect();
        let statement = include_str!("../../sql/job/cover_slots.sql");
        covered = tx.query_one(statement, &[&groups, &begun, &ended, &jobs]).await?.get("covered");
    }
    let requeued = tx.query_one(include_str!("../../sql/job/requeue_unanswered.sql"), &[]).await?;
    let expired = tx.query_one(include_str!("../../sql/job/expire_runs.sql"), &[&IN_TIME_SECONDS]).await?;
    Ok(Settled {
        adopted,
        good: good.len(),
        covered,
        requeued: requeued.get("requeued"),
        expired: expired.get("over"),
    })
}
