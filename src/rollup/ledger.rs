//! The slices of a rollup: what is pending, how large it is thought to be, what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::RollupError;
use super::name::RollupName;
use super::render;
use super::shape::Shape;
use crate::db::{DbError, Executor, Session};
use crate::ground::month::Month;

/// An expansion, or the making of a month, that failed in a way that may pass (deadlock, lock time-out) is tried this often.
const TRIES: u32 = 8;

/// Pause before its second try; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A half-open range of instants; `None` is unbounded on that side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
}

/// A slice that is to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    pub month: Month,
    /// Rows of the source in it: counted by the census or estimated by the planner.
    pub source_rows: i64,
}

/// How far a rollup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whether every month with rows has a slice.
    pub is_counted: bool,
    /// Every change whose COMMIT had returned before this is in the complete slices.
    pub watermark_at: Option<DateTime<Utc>>,
    pub complete: i64,
    pub pending: i64,
    /// Rows of the source filled per second and connection so far; `None` before the first fill.
    pub rows_per_second: Option<i64>,
}

/// Makes the ledger whole: plans the source if nothing is known of it, counts its months if that was never done (or
/// again, when `recount`), and gives slices to months that marks have named since.
pub async fn prepare(session: &Session, shape: &Shape, recount: bool) -> Result<(), RollupError> {
    let source = shape.source.table.quoted();
    let row = session.query_one(include_str!("../../sql/rollup/never_analyzed.sql"), &[&source]).await?;
    if row.get::<_, Option<bool>>("never") == Some(true) {
        session.batch(&format!("ANALYZE {source}")).await?;
    }
    let name = &shape.definition.name;
    if recount || !progress(session, name).await?.is_counted {
        session.query(&render::call(name, "census", ""), &[]).await?;
    }
    expand(session, name).await
}

/// Gives slices to marked months that have none, and splits range marks at slice bounds.
pub async fn expand(session: &Session, name: &RollupName) -> Result<(), RollupError> {
    patiently(session, &render::call(name, "expand", "")).await.map(drop)
}

/// Coming months that are made beforehand: one more than a job that comes once a day could miss.
const COMING_MONTHS: u32 = 2;

/// Makes the current month and those that come next before anything is written to them, without holding up readers;
/// nothing before the census. Returns how many it made.
pub async fn ahead(session: &Session, name: &RollupName) -> Result<i64, RollupError> {
    patiently(session, &render::call(name, "ahead", &COMING_MONTHS.to_string())).await
}

/// Calls a function that attaches tables, again where somebody held the target for long; returns the number it returns.
async fn patiently(session: &Session, statement: &str) -> Result<i64, RollupError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match session.query_one(statement, &[]).await {
            Err(DbError::Retry(_) | DbError::LockTimeout(_)) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return Ok(other?.get(0)),
        }
    }
    Ok(session.query_one(statement, &[]).await?.get(0))
}

/// Pending slices that `range` touches, newest first. Sizes that nobody counted are estimated and remembered.
pub async fn pending(session: &Session, shape: &Shape, range: Range) -> Result<Vec<Pending>, RollupError> {
    let name = shape.definition.name.as_str();
    let list = include_str!("../../sql/rollup/pending.sql");
    let rows = session.query(list, &[&name, &range.from, &range.to]).await?;
    let unknown: Vec<DateTime<Utc>> = rows
        .iter()
        .filter(|row| row.get::<_, Option<i64>>("source_rows").is_none())
        .map(|row| row.get("slice_start"))
        .collect();
    let mut estimated = BTreeMap::new();
    if !unknown.is_empty() {
        let estimates = session.query(&render::estimate(shape), &[&unknown]).await?;
        let starts: Vec<DateTime<Utc>> = estimates.iter().map(|row| row.get("at")).collect();
        let sizes: Vec<i64> = estimates.iter().map(|row| row.get("rows")).collect();
        session
            .query(include_str!("../../sql/rollup/set_source_rows.sql"), &[&name, &starts, &sizes])
            .await?;
        estimated = starts.into_iter().zip(sizes).collect();
    }
    Ok(rows
        .iter()
        .map(|row| {
            let start: DateTime<Utc> = row.get("slice_start");
            let counted: Option<i64> = row.get("source_rows");
            let source_rows = counted.or_else(|| estimated.get(&start).copied()).unwrap_or_default();
            Pending { month: Month::of(start), source_rows }
        })
        .collect())
}

/// Makes the slices of a range pending again, so that the next fill rebuilds them by difference.
pub async fn restart(session: &Session, name: &RollupName, range: Range) -> Result<(), RollupError> {
    session
        .query(include_str!("../../sql/rollup/restart.sql"), &[&name.as_str(), &range.from, &range.to])
        .await?;
    Ok(())
}

/// Reads how far a rollup is.
pub async fn progress(db: &impl Executor, name: &RollupName) -> Result<Progress, RollupError> {
    let row = db.query_one(include_str!("../../sql/rollup/progress.sql"), &[&name.as_str()]).await?;
    let (rows, milliseconds): (i64, i64) = (row.get("timed_rows"), row.get("timed_ms"));
    Ok(Progress {
        is_counted: row.get::<_, Option<DateTime<Utc>>>("census_at").is_some(),
        watermark_at: row.get("watermark_at"),
        complete: row.get("complete"),
        pending: row.get("pending"),
        rows_per_second: (milliseconds > 0).then(|| rows.saturating_mul(1000) / milliseconds),
    })
}

/// Notes why a slice failed, in a transaction of its own.
pub async fn record_slice_error(
    session: &Session,
    name: &RollupName,
    month: Month,
    error: &str,
) -> Result<(), RollupError> {
    let statement = include_str!("../../sql/rollup/record_slice_error.sql");
    session.query(statement, &[&name.as_str(), &month.start(), &error]).await?;
    Ok(())
}

/// Notes why a drain failed, or with `None` that all is well again, in a transaction of its own.
pub async fn record_error(
    session: &Session,
    name: &RollupName,
    error: Option<&str>,
) -> Result<(), RollupError> {
    let error = error.map(str::to_owned);
    session.query(include_str!("../../sql/rollup/record_error.sql"), &[&name.as_str(), &error]).await?;
    Ok(())
}

/// A month that was compared with its source, or part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    pub month: Month,
    /// Rows that differ.
    pub rows: i64,
    /// Whether all of the month was compared.
    pub is_whole: bool,
}

/// Puts on record which months differ, and takes off it which do not any more.
///
/// # Errors
///
/// What the server says.
pub async fn record_drift(
    session: &Session,
    name: &RollupName,
    compared: &[Compared],
) -> Result<(), RollupError> {
    if !session.query_one(include_str!("../../sql/rollup/has_drift.sql"), &[]).await?.get::<_, bool>("found")
    {
        return Ok(());
    }
    let starts: Vec<DateTime<Utc>> = compared.iter().map(|one| one.month.start()).collect();
    let rows: Vec<i64> = compared.iter().map(|one| one.rows).collect();
    let whole: Vec<bool> = compared.iter().map(|one| one.is_whole).collect();
    session
        .query(include_str!("../../sql/rollup/record_drift.sql"), &[&name.as_str(), &starts, &rows, &whole])
        .await?;
    Ok(())
}

/// The current month and `months` before it, by the database's clock.
pub async fn months_back(session: &Session, months: u32) -> Result<Range, RollupError> {
    let row = session.query_one(include_str!("../../sql/rollup/clock.sql"), &[]).await?;
    let current = Month::of(row.get("now"));
    Ok(Range { from: Some(current.minus(months).start()), to: None })
}
