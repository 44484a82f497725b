//! Pausing a rollup: the worker leaves it alone, while capture goes on and every mark is kept.

use chrono::{DateTime, Utc};

use super::error::RollupError;
use super::install;
use super::name::RollupName;
use crate::db::{Executor, Session};

/// Pauses a rollup, or lets the worker go on with it; returns since when it is paused. What a worker has in hand of it ends
/// with the pass or month that runs. Drains and backfills by hand go on.
///
/// # Errors
///
/// [`RollupError::Unknown`], [`RollupError::NotInstalled`].
pub async fn set(
    session: &Session,
    name: &RollupName,
    is_paused: bool,
) -> Result<Option<DateTime<Utc>>, RollupError> {
    install::entry(session, name).await?;
    let statement = include_str!("../../sql/rollup/set_paused.sql");
    match session.query_opt(statement, &[&name.as_str(), &is_paused]).await? {
        Some(row) => Ok(row.get("paused_at")),
        None => Err(RollupError::Unknown { name: name.clone(), known: Vec::new() }),
    }
}
