//! Verify: compares complete slices with their source, both ways, one snapshot a slice.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::Serialize;
use tokio::time::Instant;

use super::error::RollupError;
use super::ledger::{self, Compared, Range};
use super::name::RollupName;
use super::shape::Shape;
use super::stop::unless_stopped;
use super::watch::{Fence, Listener, News, Work};
use super::{drain, install, render};
use crate::db::pool::Pool;
use crate::db::target::Target;
use crate::db::{Executor, Param, Session, connect};
use crate::ground::month::Month;
use crate::ground::shutdown::Shutdown;

/// How a proof runs.
#[derive(Debug, Clone)]
pub struct Options {
    pub range: Range,
    /// Compare this many random slices instead of all; at least 1.
    pub sample: Option<i32>,
    /// Connections that compare; at least 1.
    pub parallel: usize,
    /// Make differing buckets right afterwards.
    pub repair: bool,
}

/// What a proof found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub rollup: String,
    /// Slices compared.
    pub slices: usize,
    /// Rows of the rollup that were compared.
    pub rows: i64,
    /// Rows that are missing, surplus or different.
    pub drifted: i64,
    /// Rows that differ under an open mark: not drift, the next drain makes them right.
    pub open: i64,
    /// Pending slices of the range, which were not compared.
    pub pending: usize,
    /// The first differing rows, at most 20 a slice.
    pub examples: Vec<serde_json::Value>,
    /// Rows that a repair added, changed or removed.
    pub repaired: Option<i64>,
    /// Whether a signal ended it early.
    pub interrupted: bool,
}

/// Compares the complete slices of a range with the source.
///
/// # Errors
///
/// [`RollupError::Range`] for ends off the grain, [`RollupError::Unknown`] and the like; drift is no error but a
/// [`Report`].
pub async fn run(
    target: &Target,
    subcommand: &str,
    name: &RollupName,
    options: &Options,
    listener: &dyn Listener,
    fence: &dyn Fence,
    shutdown: &Shutdown,
) -> Result<Report, RollupError> {
    let mut session = connect::connect(target, subcommand).await?;
    let shape = install::load(&mut session, name).await?;
    check_range(&shape, options.range)?;
    // A month with rows and without a slice would escape the comparison: the census makes it pending.
    unless_stopped(&session, shutdown, ledger::prepare(&session, &shape, options.sample.is_none())).await?;
    let slices = complete(&session, name, options).await?;
    let pending = ledger::pending(&session, &shape, options.range).await?.len();
    let source_rows = slices.iter().map(|(_, rows)| rows).sum();
    listener.hear(News::Began {
        rollup: name.clone(),
        work: Work::Verify,
        slices: slices.len(),
        source_rows,
    });
    let queue = Mutex::new(VecDeque::from(slices));
    let pool = Pool::new(target, subcommand, options.parallel);
    let proof = Proof {
        shape: &shape,
        statement: render::verify(&shape),
        range: options.range,
        listener,
        fence,
        shutdown,
    };
    let workers = (0..options.parallel.max(1)).map(|_| proof.work(&pool, &queue));
    let mut report = Report {
        rollup: name.to_string(),
        slices: 0,
        rows: 0,
        drifted: 0,
        open: 0,
        pending,
        examples: Vec::new(),
        repaired: None,
        interrupted: shutdown.is_requested(),
    };
    let mut wrong = Vec::new();
    let mut compared = Vec::new();
    for found in futures_util::future::join_all(workers).await {
        for slice in found? {
            report.slices += 1;
            report.rows += slice.rows;
            report.drifted += slice.drifted;
            report.open += slice.open;
            report.examples.extend(slice.examples);
            let month = Month::of(slice.range.0);
            let is_whole = slice.range == (month.start(), month.end());
            compared.push(Compared { month, rows: slice.drifted, is_whole });
            if slice.drifted > 0 {
                wrong.push(slice.range);
            }
        }
    }
    report.interrupted = shutdown.is_requested();
    ledger::record_drift(&session, name, &compared).await?;
    listener.hear(News::Ended { rollup: name.clone(), work: Work::Verify });
    if options.repair && !wrong.is_empty() {
        let repaired = repair(&mut session, &shape, &wrong, shutdown).await?;
        report.repaired = Some(repaired.rows);
        report.interrupted |= !repaired.is_whole;
        if repaired.is_whole {
            for month in &mut compared {
                month.rows = 0;
            }
            ledger::record_drift(&session, name, &compared).await?;
        }
    }
    Ok(report)
}

/// A range that cuts a bucket would compare the half of it with the whole, and a repair would write the half.
fn check_range(shape: &Shape, range: Range) -> Result<(), RollupError> {
    let definition = &shape.definition;
    for end in [range.from, range.to].into_iter().flatten() {
        if !definition.grain.is_boundary(end) {
            return Err(RollupError::Range(format!(
                "{end} is not a bucket boundary of rollup \"{}\", whose grain is {}",
                definition.name,
                definition.grain.words()
            )));
        }
    }
    match (range.from, range.to) {
        (Some(from), Some(to)) if from >= to => {
            Err(RollupError::Range(format!("the range from {from} to {to} is empty")))
        }
        _ => Ok(()),
    }
}

struct Found {
    range: (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>),
    rows: i64,
    drifted: i64,
    open: i64,
    examples: Vec<serde_json::Value>,
}

struct Proof<'a> {
    shape: &'a Shape,
    statement: String,
    range: Range,
    listener: &'a dyn Listener,
    fence: &'a dyn Fence,
    shutdown: &'a Shutdown,
}

impl Proof<'_> {
    async fn work(
        &self,
        pool: &Pool,
        queue: &Mutex<VecDeque<(Month, i64)>>,
    ) -> Result<Vec<Found>, RollupError> {
        let session = pool.get().await?;
        session.batch(include_str!("../../sql/rollup/slice_settings.sql")).await?;
        session.batch(&format!("SET search_path = {}", render::search_path(&self.shape.definition))).await?;
        let mut found = Vec::new();
        while !self.shutdown.is_requested() {
            let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
            let Some((month, source_rows)) = next else { break };
            self.fence.check().await?;
            let from = self.range.from.map_or(month.start(), |from| from.max(month.start()));
            let to = self.range.to.map_or(month.end(), |to| to.min(month.end()));
            let began = Instant::now();
            let params: [&dyn Param; 2] = [&from, &to];
            let compared = async { Ok(session.query_one(&self.statement, &params).await?) };
            let Some(row) = unless_stopped(&session, self.shutdown, compared).await? else { break };
            let examples: serde_json::Value = row.get("examples");
            let slice = Found {
                range: (from, to),
                rows: row.get("rows"),
                drifted: row.get("drifted"),
                open: row.get("open"),
                examples: examples.as_array().cloned().unwrap_or_default(),
            };
            self.listener.hear(News::Slice {
                rollup: self.shape.definition.name.clone(),
                work: Work::Verify,
                month,
                source_rows,
                rows: slice.rows,
                took: began.elapsed(),
            });
            found.push(slice);
        }
        Ok(found)
    }
}

async fn complete(
    session: &Session,
    name: &RollupName,
    options: &Options,
) -> Result<Vec<(Month, i64)>, RollupError> {
    let rows = session
        .query(
            include_str!("../../sql/rollup/complete_slices.sql"),
            &[&name.as_str(), &options.range.from, &options.range.to, &options.sample],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            (Month::of(row.get("slice_start")), row.get::<_, Option<i64>>("source_rows").unwrap_or_default())
        })
        .collect())
}

/// Marks the ranges that differ and drains: the repair takes the same road as every other change.
async fn repair(
    session: &mut Session,
    shape: &Shape,
    ranges: &[(chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>)],
    shutdown: &Shutdown,
) -> Result<drain::Report, RollupError> {
    let (starts, ends): (Vec<_>, Vec<_>) = ranges.iter().copied().unzip();
    session.query(&render::mark_ranges(shape), &[&starts, &ends]).await?;
    drain::run(session, &shape.definition.name, shutdown).await
}
