//! The guard: inside the migration's transaction, every required rollup must be complete and current.

use super::directive::Requirement;
use crate::db::{DbError, Executor};

const GUARD: &str = include_str!("../../sql/migrate/guard.sql");

/// Asks the database about one requirement.
///
/// # Errors
///
/// [`DbError::GuardRefused`] with the reason and the remedy; [`DbError::Server`] where the rollups' schema is not
/// installed, which refuses as well.
pub async fn assert_current(tx: &impl Executor, requirement: &Requirement) -> Result<(), DbError> {
    let max_lag = format!("{} milliseconds", requirement.max_lag.as_millis());
    tx.query(GUARD, &[&requirement.rollup.as_str(), &max_lag]).await?;
    Ok(())
}
