//! Drain: makes marked buckets right, one server-side pass after the other.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::debug;

use super::error::RollupError;
use super::name::RollupName;
use super::stop::unless_stopped;
use super::{install, ledger, relation, render};
use crate::db::{DbError, Executor, Param, Row, Session};
use crate::ground::shutdown::Shutdown;

/// Buckets that one pass claims: about a second's work, so that a pass never holds a month for long.
const BUCKETS_PER_PASS: i32 = 20_000;

/// A pass that failed in a way that may pass is tried this often in a row.
const TRIES: u32 = 8;

/// How long a bucket that is written to all the time rests between two computations, in passes of the worker.
const PATIENCE: &str = "interval '5 seconds'";

/// Pause before the second try.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What one pass did, or why it did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Buckets were made right.
    Drained,
    /// A small pending month was filled.
    Filled,
    /// Marks of a large pending month were dropped: the backfill that fills it covers them.
    Discarded,
    /// There is no mark.
    Idle,
    /// Every marked slice is being written by someone else, or every marked bucket rests.
    Busy,
    /// There are marks for months that have no slice yet.
    Unexpanded,
}

/// One pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    pub outcome: Outcome,
    pub marks: i64,
    pub buckets: i64,
    /// Rows added, changed or removed.
    pub rows: i64,
    /// When the oldest mark that was left behind was made.
    pub oldest_left: Option<DateTime<Utc>>,
    /// Whether every mark that was there when the pass began is dealt with, those of resting buckets of its month aside.
    pub is_abreast: bool,
}

/// What a whole drain did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub rollup: RollupName,
    pub passes: u64,
    pub marks: i64,
    pub buckets: i64,
    pub rows: i64,
    /// Pending slices that are left to a backfill.
    pub pending: i64,
    /// Where the watermark stands now.
    pub watermark_at: Option<DateTime<Utc>>,
    /// Whether every mark that was visible at the start was dealt with; `false` after a signal.
    pub is_whole: bool,
}

/// Processes every mark that is visible now, waiting for months that someone else is writing.
///
/// # Errors
///
/// The last failure of a pass, which is also recorded in the ledger.
pub async fn run(
    session: &mut Session,
    name: &RollupName,
    shutdown: &Shutdown,
) -> Result<Report, RollupError> {
    let result = prepared(session, name, shutdown).await;
    let noted = match &result {
        Ok(_) => ledger::record_error(session, name, None).await,
        Err(error) => ledger::record_error(session, name, Some(&error.to_string())).await,
    };
    let report = result?;
    noted?;
    Ok(report)
}

async fn prepared(
    session: &mut Session,
    name: &RollupName,
    shutdown: &Shutdown,
) -> Result<Report, RollupError> {
    let shape = install::load(session, name).await?;
    relation::follow(session, name, true).await?;
    drain(session, name, &shape, shutdown).await
}

async fn drain(
    session: &Session,
    name: &RollupName,
    shape: &super::shape::Shape,
    shutdown: &Shutdown,
) -> Result<Report, RollupError> {
    let row = session.query_one(include_str!("../../sql/rollup/clock.sql"), &[]).await?;
    let began: DateTime<Utc> = row.get("now");
    let mut report = Report {
        rollup: name.clone(),
        passes: 0,
        marks: 0,
        buckets: 0,
        rows: 0,
        pending: 0,
        watermark_at: None,
        is_whole: false,
    };
    // A signal rolls back what is in hand: it may be a wait for a month that someone else writes for hours.
    if unless_stopped(session, shutdown, ledger::prepare(session, shape, false)).await?.is_none() {
        return Ok(report);
    }
    let mut wait = false;
    while !shutdown.is_requested() {
        let Some(pass) = unless_stopped(session, shutdown, pass(session, name, wait)).await? else { break };
        report.passes += 1;
        report.marks += pass.marks;
        report.buckets += pass.buckets;
        report.rows += pass.rows;
        debug!(rollup = %name, outcome = ?pass.outcome, marks = pass.marks, rows = pass.rows, "pass over {name}");
        if pass.oldest_left.is_none_or(|oldest| oldest > began) {
            report.is_whole = true;
            break;
        }
        wait = pass.outcome == Outcome::Busy;
        if pass.outcome == Outcome::Unexpanded {
            ledger::expand(session, name).await?;
        }
    }
    let progress = ledger::progress(session, name).await?;
    report.pending = progress.pending;
    report.watermark_at = progress.watermark_at;
    Ok(report)
}

/// One pass; deadlocks and lock time-outs are tried again. With `wait` it waits for a slice that is being written.
pub async fn pass(session: &Session, name: &RollupName, wait: bool) -> Result<Pass, RollupError> {
    let statement = render::call(name, "drain", "$1, $2");
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        match session.query_one(&statement, &[&BUCKETS_PER_PASS, &wait]).await {
            Ok(row) => return read(&row),
            Err(DbError::Retry(_) | DbError::LockTimeout(_)) if attempt < TRIES => {
                tokio::time::sleep(pause).await;
                pause *= 2;
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// One pass in which hot buckets rest, and that the server makes only if `fence` returns a row, in the same statement, so that whatever row the fence
/// locks stays locked until the pass has committed. `None`: the fence returned none, and nothing was done.
///
/// `fence` is a SELECT over `$1`, `$2`, ..., for which `values` stand.
pub async fn pass_if(
    session: &Session,
    name: &RollupName,
    fence: &str,
    values: &[&dyn Param],
) -> Result<Option<Pass>, RollupError> {
    let call = render::call(name, "drain", &format!("{BUCKETS_PER_PASS}, false, {PATIENCE}"));
    let call = call.strip_prefix("SELECT * FROM ").unwrap_or(&call);
    let statement = format!("SELECT called.* FROM ({fence}) AS fence CROSS JOIN LATERAL {call}");
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        match session.query_opt(&statement, values).await {
            Ok(row) => return row.map(|row| read(&row)).transpose(),
            Err(DbError::Retry(_) | DbError::LockTimeout(_)) if attempt < TRIES => {
                tokio::time::sleep(pause).await;
                pause *= 2;
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn read(row: &Row) -> Result<Pass, RollupError> {
    let outcome = match row.get::<_, &str>("outcome") {
        "drained" => Outcome::Drained,
        "filled" => Outcome::Filled,
        "discarded" => Outcome::Discarded,
        "idle" => Outcome::Idle,
        "busy" => Outcome::Busy,
        "unexpanded" => Outcome::Unexpanded,
        other => return Err(DbError::Bug(format!("a drain answered \"{other}\"")).into()),
    };
    let count = |column: &str| row.get::<_, Option<i64>>(column).unwrap_or_default();
    Ok(Pass {
        outcome,
        marks: count("marks"),
        buckets: count("buckets"),
        rows: count("rows_added") + count("rows_changed") + count("rows_removed"),
        oldest_left: row.get("oldest_left"),
        // A rendering of an older version does not say so: then the next pass finds out.
        is_abreast: row.try_get("is_abreast").unwrap_or_default(),
    })
}
