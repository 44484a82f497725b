//! Prune: raw events of sealed months go, and what they came to stays in the baseline.
//!
//! In: a source and the rollups over it that all have `keep_source`. Out: fewer raw events, the same rollups. Baseline plus
//! what the source still holds is the value of a sealed month; one statement deletes raw events and adds exactly those to
//! the baseline, while the month's slices are locked, so that no one ever sees an event twice or not at all. The capture of
//! that delete is not switched off, which an application could do by accident: its marks are claimed in the same
//! transaction, and the buckets computed again. That this changes nothing is the proof that the measures merge.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::info;

use super::error::RollupError;
use super::name::RollupName;
use super::quote::TableName;
use super::shape::Shape;
use super::watch::Fence;
use super::{forget, install, render};
use crate::db::{DbError, Executor, Session, Tx};
use crate::ground::month::Month;
use crate::ground::shutdown::Shutdown;

/// Raw events that one transaction deletes: about a second's work, so that a month is never held for long.
pub const BATCH: u32 = 20_000;

/// A batch that met a deadlock or a lock time-out is tried this often in a row.
const TRIES: u32 = 8;

/// Pause before the second try.
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// What a prune did, or with `dry_run` what it would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub rollup: String,
    pub source: String,
    /// Months whose raw events went, oldest first.
    pub pruned: Vec<Pruned>,
    /// Months that the rollup let go, oldest first.
    pub dropped: Vec<Pruned>,
    pub dry_run: bool,
    /// Whether a signal ended it early.
    pub interrupted: bool,
}

/// One month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pruned {
    pub month: String,
    /// Raw events, or rows of the rollup where the month was dropped.
    pub rows: i64,
}

/// How a prune runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Raw events of one transaction; at least 1.
    pub batch: u32,
}

/// Prunes as the definition's `keep_source` and `keep` say; with neither there is nothing to do.
///
/// # Errors
///
/// [`RollupError::Misfit`] when another rollup over the source still needs the raw events, [`RollupError::Unmerged`] when
/// the measures of one do not come together again from parts: that batch was rolled back.
pub async fn run(
    session: &mut Session,
    name: &RollupName,
    options: Options,
    fence: &dyn Fence,
    shutdown: &Shutdown,
) -> Result<Report, RollupError> {
    let shape = install::load(session, name).await?;
    let mut report = Report {
        rollup: name.to_string(),
        source: shape.source.table.to_string(),
        pruned: Vec::new(),
        dropped: Vec::new(),
        dry_run: options.dry_run,
        interrupted: false,
    };
    if shape.definition.keep_source.is_some() {
        let group = Group::of(session, &shape.source.table).await?;
        group.check(&shape)?;
        let months = group.prunable(session).await?;
        if options.dry_run {
            report.pruned = count(session, &shape, &months).await?;
        } else {
            for month in months {
                let rows = group.prune(session, month, options.batch, fence, shutdown).await?;
                if rows > 0 {
                    info!(source = %report.source, month = %month, rows, "pruned {rows} raw events of {month}");
                    report.pruned.push(Pruned { month: month.to_string(), rows });
                }
            }
        }
    }
    if let Some(keep) = shape.definition.keep
        && !shutdown.is_requested()
    {
        report.dropped = forget::run(session, &shape, keep, options.dry_run, fence).await?;
    }
    report.interrupted = shutdown.is_requested();
    Ok(report)
}

/// Raw events of each month, without a change.
async fn count(session: &mut Session, shape: &Shape, months: &[Month]) -> Result<Vec<Pruned>, RollupError> {
    let starts: Vec<DateTime<Utc>> = months.iter().map(|month| month.start()).collect();
    let tx = session.begin().await?;
    tx.batch(include_str!("../../sql/rollup/prune_settings.sql")).await?;
    let rows = tx.query(&render::prune::count(shape), &[&starts]).await?;
    tx.rollback().await?;
    Ok(rows
        .iter()
        .map(|row| Pruned { month: Month::of(row.get("at")).to_string(), rows: row.get("rows") })
        .filter(|month| month.rows > 0)
        .collect())
}

/// All rollups over one source, by name.
struct Group {
    source: String,
    shapes: Vec<Shape>,
}

impl Group {
    async fn of(session: &mut Session, source: &TableName) -> Result<Group, RollupError> {
        let tx = session.begin().await?;
        let shapes = install::shapes_over(&tx, source).await?;
        tx.rollback().await?;
        Ok(Group { source: source.to_string(), shapes })
    }

    /// Whether every rollup over the source can do without the raw events that `asked` lets go.
    fn check(&self, asked: &Shape) -> Result<(), RollupError> {
        for other in &self.shapes {
            let name = &other.definition.name;
            let misfit = |reason: String| {
                Err(RollupError::Misfit {
                    name: asked.definition.name.clone(),
                    reason: format!("nothing is pruned: {reason}"),
                })
            };
            if other.definition.keep_source.is_none() {
                return misfit(format!(
                    "rollup \"{name}\" over the same source has no keep_source, it needs every raw event"
                ));
            }
            if other.source.time != asked.source.time || other.source.time_kind != asked.source.time_kind {
                return misfit(format!(
                    "rollup \"{name}\" over the same source has another time, so that its months are others"
                ));
            }
            if other.definition.search_path != asked.definition.search_path {
                return misfit(format!(
                    "rollup \"{name}\" over the same source has another search_path; give both the same"
                ));
            }
        }
        Ok(())
    }

    async fn prunable(&self, session: &Session) -> Result<Vec<Month>, RollupError> {
        let keeps: Vec<String> = self
            .shapes
            .iter()
            .filter_map(|shape| shape.definition.keep_source)
            .map(|keep| keep.to_string())
            .collect();
        let rows =
            session.query(include_str!("../../sql/rollup/prunable.sql"), &[&self.source, &keeps]).await?;
        Ok(rows.iter().map(|row| Month::of(row.get("slice_start"))).collect())
    }

    /// Prunes one month; returns how many raw events went.
    async fn prune(
        &self,
        session: &mut Session,
        month: Month,
        batch: u32,
        fence: &dyn Fence,
        shutdown: &Shutdown,
    ) -> Result<i64, RollupError> {
        let mut from = month.start();
        let mut rows = 0;
        while !shutdown.is_requested() {
            fence.check().await?;
            let done = self.batch(session, month, from, batch).await?;
            rows += done.rows;
            match done.next {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(rows)
    }

    /// One transaction, tried again where the server says so.
    async fn batch(
        &self,
        session: &mut Session,
        month: Month,
        from: DateTime<Utc>,
        batch: u32,
    ) -> Result<Done, RollupError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.attempt(session, month, from, batch).await {
                Err(RollupError::Db(DbError::Retry(_) | DbError::LockTimeout(_))) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
        self.attempt(session, month, from, batch).await
    }

    async fn attempt(
        &self,
        session: &mut Session,
        month: Month,
        from: DateTime<Utc>,
        batch: u32,
    ) -> Result<Done, RollupError> {
        let tx = session.begin().await?;
        tx.batch(include_str!("../../sql/rollup/prune_settings.sql")).await?;
        if let Some(shape) = self.shapes.first() {
            tx.batch(&format!("SET LOCAL search_path = {}", render::search_path(&shape.definition))).await?;
        }
        let Some(is_sealed) = self.lock(&tx, month).await? else { return Ok(Done { rows: 0, next: None }) };
        let is_trial = !is_sealed;
        let row = tx
            .query_one(&render::prune::fold(&self.shapes, batch), &[&from, &month.end(), &is_trial])
            .await?;
        let (chosen, rows): (i64, i64) = (row.get("chosen"), row.get("deleted"));
        let touched: Option<(DateTime<Utc>, DateTime<Utc>)> =
            row.get::<_, Option<_>>("first_at").zip(row.get("last_at"));
        if let Some((first, last)) = touched {
            for shape in &self.shapes {
                prove(&tx, shape, month, first, last).await?;
            }
        }
        // The trial left every second row where it was.
        let next = match touched {
            _ if is_trial => Some(month.start()),
            Some((_, last)) if chosen >= i64::from(batch) => Some(last),
            Some(_) | None => None,
        };
        let ended = next.is_none();
        tx.query(include_str!("../../sql/rollup/seal.sql"), &[&self.source, &month.start(), &ended]).await?;
        tx.commit().await?;
        Ok(Done { rows, next })
    }

    /// Locks the month of every rollup over the source; tells whether it was sealed already. `None`: it may not be pruned now,
    /// because a slice is to be filled again or a rollup has come, gone or changed.
    async fn lock(&self, tx: &Tx<'_>, month: Month) -> Result<Option<bool>, RollupError> {
        let rows = tx
            .query(include_str!("../../sql/rollup/lock_month.sql"), &[&self.source, &month.start()])
            .await?;
        let are_ours = rows.len() == self.shapes.len()
            && rows.iter().zip(&self.shapes).all(|(row, shape)| {
                row.get::<_, &str>("rollup") == shape.definition.name.as_str()
                    && row.get::<_, &str>("state") == "complete"
                    && row.get::<_, String>("definition_sha256") == shape.definition.sha256()
            });
        Ok(are_ours.then(|| rows.iter().all(|row| row.get("is_sealed"))))
    }
}

/// What one transaction did.
struct Done {
    rows: i64,
    /// Where the next one begins; `None` at the month's end.
    next: Option<DateTime<Utc>>,
}

/// Claims the marks that the delete has left and makes its buckets right: nothing may come out other than it was, unless
/// somebody else has changed something there too.
async fn prove(
    tx: &Tx<'_>,
    shape: &Shape,
    month: Month,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> Result<(), RollupError> {
    let name = &shape.definition.name;
    let claimed = tx.query_one(&render::prune::claim_own(shape), &[&first, &last]).await?;
    let (lo, hi): (DateTime<Utc>, DateTime<Utc>) = (claimed.get("lo"), claimed.get("hi"));
    let rebuilt =
        tx.query_one(&render::call(name, "rebuild", "$1, $2, $3"), &[&month.start(), &lo, &hi]).await?;
    let rows: i64 = ["rows_added", "rows_changed", "rows_removed"]
        .iter()
        .filter_map(|column| rebuilt.get::<_, Option<i64>>(column))
        .sum();
    if rows > 0 && claimed.get::<_, i64>("foreign_marks") == 0 {
        // Looked at after the computation: what it saw and nobody had marked before is marked now.
        let marked = tx.query_one(&render::prune::has_marks(shape), &[&lo, &hi]).await?;
        if !marked.get::<_, bool>("found") {
            return Err(RollupError::Unmerged { name: name.clone(), month: month.to_string(), rows });
        }
    }
    Ok(())
}
