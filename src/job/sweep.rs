//! Reports that do not come: a lease that ran out makes a job *lost*, which ends nothing; long silence ends it, inferred,
//! until a report says otherwise.

use uuid::Uuid;

use super::JobError;
use super::alarm;
use crate::db::{Executor, Tx};

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub lost: usize,
    /// Jobs that ended by inference.
    pub interrupted: usize,
}

/// Looks at jobs in hand; at most 1,000 of each kind, so that a pass stays short. Jobs that another transaction works on are
/// passed over.
///
/// # Errors
///
/// What the server says.
pub async fn pass(tx: &Tx<'_>) -> Result<Swept, JobError> {
    let lost = tx.query(include_str!("../../sql/job/sweep_lost.sql"), &[]).await?.len();
    let ended = tx.query(include_str!("../../sql/job/sweep_silent.sql"), &[]).await?;
    let ended: Vec<Uuid> = ended.iter().map(|row| row.get("id")).collect();
    if !ended.is_empty() {
        tx.query(include_str!("../../sql/job/fail_records.sql"), &[&ended]).await?;
        alarm::after_jobs(tx, &ended).await?;
    }
    Ok(Swept { lost, interrupted: ended.len() })
}
