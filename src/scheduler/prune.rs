//! Prune: lets old plans go, so that the ledger stays as large as what it is kept for.

use super::SchedulerError;
use crate::db::Executor;

/// Plans of one batch, as the statement's literal says.
pub const BATCH: usize = 5_000;

/// Deletes one batch of plans that are older than their job keeps them. Fewer than [`BATCH`] means that none is left.
///
/// # Errors
///
/// What the server says.
pub async fn plans(db: &impl Executor) -> Result<usize, SchedulerError> {
    Ok(db.query(include_str!("../../sql/scheduler/prune_plans.sql"), &[]).await?.len())
}

/// Forgets scopes whose rollup is gone; returns how many plans of theirs will not run.
///
/// # Errors
///
/// What the server says.
pub async fn scopes(db: &impl Executor) -> Result<usize, SchedulerError> {
    Ok(db.query(include_str!("../../sql/scheduler/prune_scopes.sql"), &[]).await?.len())
}
