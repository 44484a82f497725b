//! What a backfill would do, before it does: slices, rows, time, disk and WAL.

use serde::Serialize;

use super::error::RollupError;
use super::ledger::{self, Range};
use super::name::RollupName;
use super::{install, render};
use crate::db::{Executor, Session};

/// Rows of a source that one connection rolls up in a second, where nothing was measured yet; an ordinary server of
/// two cores does this many with text keys.
pub(super) const ASSUMED_ROWS_PER_SECOND: i64 = 300_000;

/// WAL for each byte of a first fill: the table and its unique index are logged once, with headers.
const WAL_PER_BYTE: f64 = 1.1;

/// The forecast of one rollup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    pub rollup: String,
    /// Months to fill; `None` while the months of the source were never counted.
    pub slices_pending: Option<i64>,
    pub slices_complete: i64,
    /// Rows of the source in the pending months, as the census or the planner knows; `None` while neither does, because
    /// the source was never analyzed.
    pub source_rows: Option<i64>,
    /// For one connection.
    pub seconds: Option<f64>,
    pub is_measured_rate: bool,
    /// Size of what will be written, indexes included.
    pub disk_bytes: Option<i64>,
    pub wal_bytes: Option<i64>,
}

/// Forecasts a backfill of `range`, of complete slices too when they would be restarted; reads the catalog and the ledger and writes nothing.
///
/// # Errors
///
/// [`RollupError::Unknown`] and the like.
pub async fn read(
    session: &mut Session,
    name: &RollupName,
    range: Range,
    restart: bool,
) -> Result<Estimate, RollupError> {
    let shape = install::load(session, name).await?;
    let progress = ledger::progress(session, name).await?;
    let tx = session.begin().await?;
    tx.batch(&format!("SET LOCAL search_path = {}", render::search_path(&shape.definition))).await?;
    let row =
        tx.query_one(&render::forecast(&shape), &[&name.as_str(), &range.from, &range.to, &restart]).await?;
    tx.rollback().await?;
    let source_rows: Option<i64> = row.get("source_rows");
    let rows_per_second = progress.rows_per_second.unwrap_or(ASSUMED_ROWS_PER_SECOND).max(1);
    let disk_bytes: Option<i64> = row.get("disk_bytes");
    Ok(Estimate {
        rollup: name.to_string(),
        slices_pending: progress.is_counted.then(|| row.get("slices")),
        slices_complete: progress.complete,
        source_rows,
        seconds: source_rows.map(|rows| rows as f64 / rows_per_second as f64),
        is_measured_rate: progress.rows_per_second.is_some(),
        disk_bytes,
        wal_bytes: disk_bytes.map(|bytes| (bytes as f64 * WAL_PER_BYTE) as i64),
    })
}
