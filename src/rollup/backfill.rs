//! Backfill: fills pending slices, several at a time, each in one call and one transaction, or in parts where that took too
//! long.
//!
//! In: a shape and a range. Out: complete slices. What is complete stays complete whatever happens to this process;
//! a killed run's successor goes on with the slices that are left, after waiting for backends that still write one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::error::RollupError;
use super::ledger::{self, Pending, Range};
use super::lock::{Exclusive, WorkLock};
use super::name::RollupName;
use super::portion::Portion;
use super::shape::Shape;
use super::stop::unless_stopped;
use super::throttle::{Limits, Throttle};
use super::watch::{Fence, Listener, News, Work};
use super::{install, render};
use crate::db::pool::Pool;
use crate::db::target::Target;
use crate::db::{DbError, Executor, Param, Session, connect};
use crate::ground::shutdown::{Shutdown, Urgency};

/// A slice that failed in a way that may pass (deadlock, lock time-out) is tried this often, with doubling pauses.
const TRIES: u32 = 6;

/// A month that would take longer is filled in parts: so old may a fill's snapshot get, which keeps vacuum from cleaning up.
const LONGEST_FILL: Duration = Duration::from_secs(30);

/// Pause before the second try of a slice.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Which slices come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Dashboards fill from today backwards.
    Newest,
    Oldest,
}

/// How a backfill runs.
#[derive(Debug, Clone)]
pub struct Options {
    pub range: Range,
    /// Connections that fill slices; at least 1.
    pub parallel: usize,
    /// Pause of each connection after a slice.
    pub sleep: Duration,
    /// No slice is begun after this long.
    pub max_duration: Option<Duration>,
    pub order: Order,
    /// How long one transaction may take: a month that would take longer is filled in parts.
    pub longest_fill: Duration,
    /// Rebuild complete slices too.
    pub restart: bool,
    /// What the database may be asked to bear.
    pub limits: Limits,
    /// How long to wait for another backfill of the same rollup; `None` waits as long as it takes.
    pub wait: Option<Duration>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            range: Range::default(),
            parallel: default_parallel(),
            sleep: Duration::ZERO,
            max_duration: None,
            order: Order::Newest,
            longest_fill: LONGEST_FILL,
            restart: false,
            limits: Limits::default(),
            wait: None,
        }
    }
}

/// Half of this machine's cores, at least one: the database has other things to do.
pub fn default_parallel() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1)
}

/// Why a backfill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every requested slice is complete.
    Complete,
    /// `max_duration` ran out.
    Paused,
    /// A signal came.
    Interrupted,
}

/// What a backfill did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub rollup: RollupName,
    pub end: End,
    /// Slices that this run filled.
    pub filled: usize,
    /// Rows that this run added, changed or removed.
    pub rows: i64,
    /// Pending slices of the requested range that are left.
    pub left: usize,
    /// Pending slices of the whole rollup that are left: not 0 means partial coverage.
    pub left_in_all: i64,
    pub took: Duration,
}

/// Fills the pending slices of one rollup.
///
/// # Errors
///
/// [`RollupError::Busy`] when another backfill runs for longer than `wait`; [`RollupError::SliceFailed`]: everything
/// filled so far stays; [`RollupError::LockLost`] from the fence.
pub async fn run(
    target: &Target,
    subcommand: &str,
    name: &RollupName,
    options: &Options,
    listener: &dyn Listener,
    fence: &dyn Fence,
    shutdown: &Shutdown,
) -> Result<Report, RollupError> {
    let began = Instant::now();
    let mut session = connect::connect(target, subcommand).await?;
    let shape = install::load(&mut session, name).await?;
    let _lock =
        WorkLock::take(target, subcommand, Exclusive::Backfill, name, options.wait, listener, shutdown)
            .await?;
    listener.hear(News::Counting { rollup: name.clone() });
    let preparing = async {
        ledger::prepare(&session, &shape, options.restart).await?;
        if options.restart {
            ledger::restart(&session, name, options.range).await?;
        }
        Ok(())
    };
    // Cut short, it leaves the ledger as it was; the first look at the signal below ends the run.
    unless_stopped(&session, shutdown, preparing).await?;
    let run = Run {
        shape: &shape,
        options,
        listener,
        fence,
        shutdown,
        // One more than fill slices: a failure is recorded while every other connection is in use.
        pool: Pool::new(target, subcommand, options.parallel + 1),
        deadline: options.max_duration.map(|limit| began + limit),
        tally: Mutex::default(),
    };
    let mut pending = ledger::pending(&session, &shape, options.range).await?;
    listener.hear(News::Began {
        rollup: name.clone(),
        work: Work::Backfill,
        slices: pending.len(),
        source_rows: pending.iter().map(|slice| slice.source_rows).sum(),
    });
    let mut end = run.fill_all(pending.clone()).await?;
    // The source may have grown into new months meanwhile; whoever waits for this run wants those too.
    while end == End::Complete {
        ledger::expand(&session, name).await?;
        pending = ledger::pending(&session, &shape, options.range).await?;
        if pending.is_empty() {
            break;
        }
        end = run.fill_all(pending).await?;
    }
    session.query(&render::call(name, "watermark", ""), &[]).await?;
    ledger::record_error(&session, name, None).await?;
    let left = ledger::pending(&session, &shape, options.range).await?.len();
    let left_in_all = ledger::progress(&session, name).await?.pending;
    let tally = run.tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    listener.hear(News::Ended { rollup: name.clone(), work: Work::Backfill });
    let report = Report {
        rollup: name.clone(),
        end,
        filled: tally.filled,
        rows: tally.rows,
        left,
        left_in_all,
        took: began.elapsed(),
    };
    info!(rollup = %name, filled = report.filled, rows = report.rows, left = report.left, "backfill of {name} ended");
    Ok(report)
}

#[derive(Default)]
struct Tally {
    filled: usize,
    rows: i64,
}

struct Run<'a> {
    shape: &'a Shape,
    options: &'a Options,
    listener: &'a dyn Listener,
    fence: &'a dyn Fence,
    shutdown: &'a Shutdown,
    pool: Pool,
    deadline: Option<Instant>,
    tally: Mutex<Tally>,
}

/// Slices still to do, shared by the connections of one round.
type Queue = Mutex<VecDeque<Portion>>;

fn locked(queue: &Queue) -> std::sync::MutexGuard<'_, VecDeque<Portion>> {
    queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What became of one call.
enum Filled {
    /// The slice is done with: filled, or left to whoever holds it.
    Done,
    /// A part of it is.
    Part,
    /// A second signal cancelled it.
    Cancelled,
}

impl Run<'_> {
    fn name(&self) -> &RollupName {
        &self.shape.definition.name
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Fills the given slices, then waits for those that someone else was writing.
    async fn fill_all(&self, mut pending: Vec<Pending>) -> Result<End, RollupError> {
        if self.options.order == Order::Oldest {
            pending.reverse();
        }
        let held = Arc::new(Queue::default());
        let first = |slice| Portion::first(slice, self.options.longest_fill);
        let end = self.round(&Mutex::new(pending.into_iter().map(first).collect()), Some(&held)).await?;
        if end != End::Complete {
            return Ok(end);
        }
        self.round(&held, None).await
    }

    /// One round over a queue on all connections. With `held`, slices that are being written are put there.
    async fn round(&self, queue: &Queue, held: Option<&Queue>) -> Result<End, RollupError> {
        let workers = (0..self.options.parallel.max(1)).map(|_| self.work(queue, held));
        let ends = futures_util::future::join_all(workers).await;
        let mut end = End::Complete;
        for one in ends {
            match one? {
                End::Complete => {}
                other => end = other,
            }
        }
        Ok(end)
    }

    async fn work(&self, queue: &Queue, held: Option<&Queue>) -> Result<End, RollupError> {
        let mut session: Option<Session> = None;
        let mut throttle = Throttle::new(self.options.limits, self.name(), self.listener, self.shutdown);
        let mut last = Duration::ZERO;
        loop {
            if self.shutdown.is_requested() {
                return Ok(End::Interrupted);
            }
            if self.is_over() {
                return Ok(End::Paused);
            }
            let Some(portion) = locked(queue).pop_front() else { return Ok(End::Complete) };
            self.fence.check().await?;
            let connection = match session.take() {
                Some(connection) => connection,
                None => self.pool.get().await?,
            };
            throttle.admit(&connection, last, self.deadline).await?;
            if self.shutdown.is_requested() {
                return Ok(End::Interrupted);
            }
            if self.is_over() {
                return Ok(End::Paused);
            }
            let began = Instant::now();
            let outcome = self.fill(&connection, portion, held).await;
            last = began.elapsed();
            session = Some(connection);
            match outcome {
                Ok(Filled::Done) => {}
                // Before other months: whoever looks at the ledger sees few that are begun.
                Ok(Filled::Part) => {
                    locked(queue).push_front(portion.next(last, self.options.longest_fill));
                }
                Ok(Filled::Cancelled) => return Ok(End::Interrupted),
                Err(error) => {
                    // The other connections finish what they have in hand and find the queue empty.
                    locked(queue).clear();
                    return Err(error);
                }
            }
            if !self.options.sleep.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(self.options.sleep) => {}
                    () = self.shutdown.at_least(Urgency::Soon) => {}
                }
            }
        }
    }

    /// Fills one slice, or its next part.
    async fn fill(
        &self,
        session: &Session,
        portion: Portion,
        held: Option<&Queue>,
    ) -> Result<Filled, RollupError> {
        let slice = portion.slice;
        // A rendering of an older version knows whole months only.
        let arguments = if portion.width.is_some() { "$1, $2, make_interval(secs => $3)" } else { "$1, $2" };
        let statement = render::call(self.name(), "fill", arguments);
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let began = Instant::now();
            match self.call(session, &statement, portion, held.is_none()).await {
                Ok(row) => return Ok(self.note(portion, &row, began.elapsed(), held)),
                Err(DbError::Cancelled(_)) if self.shutdown.urgency() == Urgency::Now => {
                    return Ok(Filled::Cancelled);
                }
                Err(error @ (DbError::Retry(_) | DbError::LockTimeout(_))) if attempt < TRIES => {
                    self.listener.hear(News::Retry {
                        rollup: self.name().clone(),
                        month: slice.month,
                        reason: error.to_string(),
                    });
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                Err(error) => return Err(self.failed(slice, error).await),
            }
        }
    }

    /// Calls the fill; a second signal cancels it in the server, which rolls it back.
    async fn call(
        &self,
        session: &Session,
        statement: &str,
        portion: Portion,
        wait: bool,
    ) -> Result<crate::db::Row, DbError> {
        let month = portion.slice.month;
        let start = month.start();
        let width = portion.width.unwrap_or_default();
        let params: [&dyn Param; 3] = [&start, &wait, &width];
        let known = if portion.width.is_some() { &params[..] } else { &params[..2] };
        let call = session.query_one(statement, known);
        tokio::pin!(call);
        tokio::select! {
            row = &mut call => return row,
            () = self.shutdown.at_least(Urgency::Soon) => {
                self.listener.hear(News::Stopping { rollup: self.name().clone() });
            }
        }
        tokio::select! {
            row = &mut call => return row,
            () = self.shutdown.at_least(Urgency::Now) => {}
        }
        if let Err(error) = session.canceller().cancel().await {
            warn!(error = %error, "cannot cancel slice {month}");
        }
        call.await
    }

    fn note(&self, portion: Portion, row: &crate::db::Row, took: Duration, held: Option<&Queue>) -> Filled {
        let rollup = self.name().clone();
        let slice = portion.slice;
        let rows = ["rows_added", "rows_changed", "rows_removed"]
            .iter()
            .filter_map(|column| row.get::<_, Option<i64>>(column))
            .sum();
        match (row.get::<_, Option<&str>>("outcome"), held) {
            (Some("busy"), Some(held)) => {
                locked(held).push_back(portion);
                self.listener.hear(News::Held { rollup, month: slice.month });
            }
            (Some("part"), _) => {
                self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner).rows += rows;
                let to = row.get("part_end");
                self.listener.hear(News::Part { rollup, month: slice.month, to, rows, took });
                return Filled::Part;
            }
            (Some("filled"), _) => {
                let mut tally = self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                tally.filled += 1;
                tally.rows += rows;
                drop(tally);
                let source_rows = slice.source_rows;
                self.listener.hear(News::Slice {
                    rollup,
                    work: Work::Backfill,
                    month: slice.month,
                    source_rows,
                    rows,
                    took,
                });
            }
            // `already`: another run completed it first.
            _ => {}
        }
        Filled::Done
    }

    /// Records why a slice failed, over a connection of its own since the failed one may be gone.
    async fn failed(&self, slice: Pending, error: DbError) -> RollupError {
        let reason = error.to_string();
        let recorded = async {
            let session = self.pool.get().await?;
            ledger::record_slice_error(&session, self.name(), slice.month, &reason).await
        };
        if let Err(unrecorded) = recorded.await {
            warn!(error = %unrecorded, "cannot record why slice {} failed", slice.month);
        }
        let complete = self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner).filled;
        RollupError::SliceFailed {
            name: self.name().clone(),
            slice: slice.month.to_string(),
            complete,
            cause: error,
        }
    }
}
