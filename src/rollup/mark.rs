//! Marking a range by hand: for changes that fired no trigger, such as loads as a replica and logical apply.

use chrono::{DateTime, Utc};

use super::error::RollupError;
use super::install;
use super::name::RollupName;
use super::render;
use crate::db::{Executor, Session};

/// What was marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// On the grain, half-open.
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Months with rows that the ledger did not know; they are pending now.
    pub months: i64,
}

/// Says that everything in `[from, to)` may have changed. The next drain makes it right; until then readers of the live
/// view are told the truth. Months that came with the change become slices.
///
/// # Errors
///
/// [`RollupError::Range`] for an empty range; [`RollupError::Unknown`] and the like.
pub async fn run(
    session: &mut Session,
    name: &RollupName,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Marked, RollupError> {
    if from >= to {
        return Err(RollupError::Range(format!("the range from {from} to {to} is empty")));
    }
    let shape = install::load(session, name).await?;
    let tx = session.begin().await?;
    let range = tx.query_one(&render::read::mark_range(&shape), &[&from, &to]).await?;
    let (from, to): (DateTime<Utc>, DateTime<Utc>) = (range.get("lo"), range.get("hi"));
    let census = tx.query_one(&render::call(name, "census", "$1, $2"), &[&from, &to]).await?;
    tx.commit().await?;
    Ok(Marked { from, to, months: census.get(0) })
}
