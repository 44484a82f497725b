//! Months that a rollup lets go: table, slice, marks and baseline at once.

use super::error::RollupError;
use super::keep::Keep;
use super::prune::Pruned;
use super::render;
use super::shape::Shape;
use super::watch::Fence;
use crate::db::{DbError, Executor, Row, Session};
use crate::ground::month::Month;

/// Dropping a partition waits for whoever reads the rollup, and new readers wait behind it: never for longer than this in
/// one try. Readers are waited for that often before the month is left for another day.
const SETTINGS: &str =
    "SET LOCAL lock_timeout = '200ms'; SET LOCAL idle_in_transaction_session_timeout = '10s'";
const TRIES: u32 = 50;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Drops every month that ended longer ago than `keep`, oldest first.
///
/// # Errors
///
/// [`DbError::LockTimeout`] when readers held the rollup all the time.
pub(super) async fn run(
    session: &mut Session,
    shape: &Shape,
    keep: Keep,
    dry_run: bool,
    fence: &dyn Fence,
) -> Result<Vec<Pruned>, RollupError> {
    let target = vec![shape.target.schema.clone(), shape.target.table.clone()];
    let months = session
        .query(
            include_str!("../../sql/rollup/droppable.sql"),
            &[&shape.definition.name.as_str(), &keep.to_string(), &target],
        )
        .await?;
    let mut dropped = Vec::with_capacity(months.len());
    for row in &months {
        if !dry_run {
            fence.check().await?;
            drop_month(session, shape, row).await?;
        }
        let month = Month::of(row.get("slice_start"));
        dropped.push(Pruned { month: month.to_string(), rows: row.get("rows") });
    }
    Ok(dropped)
}

async fn drop_month(session: &mut Session, shape: &Shape, row: &Row) -> Result<(), RollupError> {
    for _ in 1..TRIES {
        match attempt(session, shape, row).await {
            Err(RollupError::Db(DbError::LockTimeout(_) | DbError::Retry(_))) => {
                tokio::time::sleep(PAUSE).await
            }
            other => return other,
        }
    }
    attempt(session, shape, row).await
}

async fn attempt(session: &mut Session, shape: &Shape, row: &Row) -> Result<(), RollupError> {
    let name = shape.definition.name.as_str();
    let month = Month::of(row.get("slice_start"));
    let tx = session.begin().await?;
    tx.batch(SETTINGS).await?;
    let held =
        tx.query_opt(include_str!("../../sql/rollup/lock_slice.sql"), &[&name, &month.start()]).await?;
    if held.is_none() {
        return Ok(tx.rollback().await?);
    }
    for statement in render::prune::forget(shape) {
        tx.query(&statement, &[&month.start(), &month.end()]).await?;
    }
    tx.batch(&format!("DROP TABLE IF EXISTS {}", row.get::<_, &str>("partition"))).await?;
    if tx.query_opt(include_str!("../../sql/rollup/forget.sql"), &[&name, &month.start()]).await?.is_none() {
        return Err(
            DbError::Bug(format!("month {month} of \"{name}\" left the ledger while it was locked")).into()
        );
    }
    Ok(tx.commit().await?)
}
