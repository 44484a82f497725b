//! The state of all rollups, as `highwater status` and the guards of other programs read it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::error::RollupError;
use super::name::RollupName;
use super::shape::Shape;
use super::{install, render, renew};
use crate::db::{DbError, Executor, Session};

mod judge;

/// Version of the JSON document; it rises when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// The count of uncountable rows may have to read the source; `status` gives it this long.
const UNCOUNTED_TIMEOUT: &str = "SET LOCAL statement_timeout = '2s'";

/// How bad it is; also the exit code of `highwater status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Ok,
    Warning,
    Critical,
}

/// Everything, in the form of the JSON document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub schema_version: u32,
    pub health: Health,
    pub rollups: Vec<RollupStatus>,
    /// Who holds the oldest snapshot, as far as the role may see.
    pub horizon: Option<Horizon>,
}

/// Rows deleted since an old snapshot was taken cannot be cleaned away, marks that were drained among them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Horizon {
    pub holder: String,
    /// Transactions that began since.
    pub transactions: i64,
    /// Age of the holder's transaction; `None` for a replication slot.
    pub seconds: Option<f64>,
}

/// One rollup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RollupStatus {
    pub name: String,
    pub source: String,
    pub target: String,
    pub health: Health,
    /// What is wrong, worst first; empty when all is well.
    pub problems: Vec<String>,
    pub watermark_at: Option<DateTime<Utc>>,
    /// Database clock minus watermark.
    pub lag_seconds: Option<f64>,
    pub open_marks: i64,
    pub oldest_mark_seconds: Option<f64>,
    /// Drained marks that autovacuum could not clean away yet.
    pub dead_marks: i64,
    pub mark_bytes: i64,
    pub slices_complete: i64,
    pub slices_pending: i64,
    /// Months whose raw events are pruned.
    pub slices_sealed: i64,
    /// Months before this were dropped, as the definition's `keep` says.
    pub dropped_before: Option<DateTime<Utc>>,
    /// Changes that came for them since, which are in no bucket.
    pub aside_marks: i64,
    /// The newest stretch without a pending slice, `[covered_from, covered_to)`.
    pub covered_from: Option<DateTime<Utc>>,
    pub covered_to: Option<DateTime<Utc>>,
    /// Rows of the rollup.
    pub rows: i64,
    /// Rows of the source whose time is NULL, infinite or outside the years 1 to 9999; `None` when counting them took
    /// too long.
    pub uncounted_rows: Option<i64>,
    /// Rows that differed from the source when their month was last compared, and are not made right since.
    pub drifted_rows: i64,
    /// When the newest of them were found.
    pub drifted_at: Option<DateTime<Utc>>,
    /// Since when the worker leaves it alone.
    pub paused_at: Option<DateTime<Utc>>,
    /// Of one that "rollup alter" is building: the rollup whose place it will take.
    pub replaces: Option<String>,
    pub last_error: Option<String>,
    pub last_error_at: Option<DateTime<Utc>>,
}

/// Reads the state of all rollups.
///
/// # Errors
///
/// [`RollupError::NotInstalled`] without highwater's schema.
pub async fn read(session: &mut Session) -> Result<Status, RollupError> {
    install::require_schema(session).await?;
    let rows = session.query(include_str!("../../sql/rollup/status.sql"), &[]).await?;
    let names: Result<Vec<RollupName>, String> =
        rows.iter().map(|row| RollupName::parse(row.get("name"))).collect();
    let names = names.map_err(|reason| RollupError::Db(DbError::Bug(reason)))?;
    let have_watch = rows.iter().map(|row| row.get::<_, bool>("has_watch"));
    let marks = if names.is_empty() {
        Vec::new()
    } else {
        session.query(&render::open_marks(names.iter().zip(have_watch)), &[]).await?
    };
    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let tables = session.query(include_str!("../../sql/rollup/mark_tables.sql"), &[&texts]).await?;
    let horizon =
        session.query_opt(include_str!("../../sql/rollup/horizon.sql"), &[]).await?.map(|row| Horizon {
            holder: row.get("words"),
            transactions: row.get("transactions"),
            seconds: row.get("seconds"),
        });
    let mut rollups = Vec::with_capacity(rows.len());
    for (row, name) in rows.iter().zip(&names) {
        let now: DateTime<Utc> = row.get("now");
        let mark = marks.iter().find(|mark| mark.get::<_, &str>("name") == name.as_str());
        let table = tables.iter().find(|table| table.get::<_, &str>("name") == name.as_str());
        let oldest: Option<DateTime<Utc>> = mark.and_then(|mark| mark.get("oldest"));
        let seen = look(session, name).await?;
        let mut status = RollupStatus {
            name: name.to_string(),
            source: row.get("source"),
            target: row.get("target"),
            health: Health::Ok,
            problems: Vec::new(),
            watermark_at: row.get("watermark_at"),
            lag_seconds: row.get("lag_seconds"),
            open_marks: mark.map(|mark| mark.get("marks")).unwrap_or_default(),
            oldest_mark_seconds: oldest.map(|oldest| seconds(now - oldest)),
            dead_marks: table.map(|table| table.get("dead_rows")).unwrap_or_default(),
            mark_bytes: table.map(|table| table.get("bytes")).unwrap_or_default(),
            slices_complete: row.get("slices_complete"),
            slices_pending: row.get("slices_pending"),
            slices_sealed: row.get("slices_sealed"),
            dropped_before: row.get("dropped_before"),
            aside_marks: row.get("aside_marks"),
            covered_from: row.get("covered_from"),
            covered_to: row.get("covered_to"),
            rows: row.get("rows"),
            uncounted_rows: seen.uncounted_rows,
            drifted_rows: row.get("drifted_rows"),
            drifted_at: row.get("drifted_at"),
            paused_at: row.get("paused_at"),
            replaces: row.get("replaces"),
            last_error: row.get("last_error"),
            last_error_at: row.get("last_error_at"),
        };
        let is_counted = row.get::<_, Option<DateTime<Utc>>>("census_at").is_some();
        let bare: Vec<String> = row.get("bare_relations");
        status.judge(row.get("has_source"), is_counted, &bare, seen.misfit);
        status.judge_drift(row.get("drifted_months"));
        status.judge_marks(horizon.as_ref());
        status.judge_aside(row.get("aside_seconds"));
        let (moved, subscribed) = (row.get("moved_relations"), row.get("subscribed_relations"));
        status.warn_of_silent_changes(moved, subscribed);
        let (engine, capture) = (row.get("engine_sha256"), row.get("capture_sha256"));
        if seen.shape.is_some_and(|shape| renew::is_outdated(&shape, engine, capture)) {
            status.judge_rendering(row.get("engine_build"));
        }
        rollups.push(status);
    }
    let health = rollups.iter().map(|rollup| rollup.health).max().unwrap_or(Health::Ok);
    Ok(Status { schema_version: SCHEMA_VERSION, health, rollups, horizon })
}

fn seconds(duration: chrono::TimeDelta) -> f64 {
    duration.as_seconds_f64()
}

/// What a look at a rollup's definition and source shows.
#[derive(Default)]
struct Seen {
    shape: Option<Shape>,
    /// Rows of the source that lie in no bucket.
    uncounted_rows: Option<i64>,
    /// Why the rollup does not fit its source any more.
    misfit: Option<String>,
}

async fn look(session: &mut Session, name: &RollupName) -> Result<Seen, RollupError> {
    let misfit = |reason: String| Seen { misfit: Some(reason), ..Seen::default() };
    let shape: Shape = match install::load(session, name).await {
        Ok(shape) => shape,
        Err(RollupError::Misfit { reason, .. }) => return Ok(misfit(reason)),
        // One rollup that cannot be looked at must not hide the others.
        Err(error @ (RollupError::Db(DbError::Lost(_)) | RollupError::NotInstalled)) => return Err(error),
        Err(error) => return Ok(misfit(error.to_string())),
    };
    let tx = session.begin().await?;
    tx.batch(UNCOUNTED_TIMEOUT).await?;
    tx.batch(&format!("SET LOCAL search_path = {}", render::search_path(&shape.definition))).await?;
    for statement in render::statements_of(&shape) {
        match tx.query(&format!("EXPLAIN {statement}"), &[]).await {
            Ok(_) | Err(DbError::Cancelled(_)) => {}
            Err(error @ DbError::Lost(_)) => return Err(error.into()),
            Err(error) => return Ok(misfit(format!("the definition does not run any more: {error}"))),
        }
    }
    let counted = tx.query_one(&render::uncounted(&shape), &[]).await;
    let shape = Some(shape);
    match counted {
        Ok(row) => Ok(Seen { shape, uncounted_rows: Some(row.get("rows")), misfit: None }),
        Err(DbError::Cancelled(_)) => Ok(Seen { shape, ..Seen::default() }),
        Err(error @ DbError::Lost(_)) => Err(error.into()),
        Err(error) => Ok(misfit(error.to_string())),
    }
}
