//! What a worker counts about itself, for metrics and readiness. Counting never waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::histogram::Histogram;

/// Runs of one job that ended one way.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    pub count: u64,
    pub seconds: f64,
}

/// What is known of the listening connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hearing {
    /// There is none, or nothing was heard on it yet.
    #[default]
    Untried,
    /// A call was heard on it.
    Good,
    /// Not even the worker's own calls were.
    Deaf,
}

/// What drains of one rollup have done.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Drained {
    pub marks: u64,
    pub buckets: u64,
}

/// A worker's counters.
#[derive(Debug)]
pub struct Vitals {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    runs: BTreeMap<(String, &'static str), Tally>,
    heartbeats: BTreeMap<&'static str, u64>,
    claims: Histogram,
    drains: Histogram,
    drained: BTreeMap<String, Drained>,
    claimed: u64,
    swept: u64,
    made: u64,
    skipped: u64,
    running: usize,
    sessions: (usize, usize),
    hearing: Hearing,
    reached_at: Option<Instant>,
    turned_at: Option<Instant>,
    is_draining: bool,
}

/// A copy of all counters.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// By job and outcome.
    pub runs: Vec<(String, &'static str, Tally)>,
    /// By answer.
    pub heartbeats: Vec<(&'static str, u64)>,
    /// How long claims took.
    pub claims: Histogram,
    /// How long passes took that had something to drain.
    pub drains: Histogram,
    /// By rollup.
    pub drained: Vec<(String, Drained)>,
    pub claimed: u64,
    pub swept: u64,
    pub made: u64,
    pub skipped: u64,
    pub running: usize,
    /// Connections for runs: how many are out, and how many lie idle.
    pub sessions: (usize, usize),
    /// Whether calls reach the worker; while they do not, it polls.
    pub hearing: Hearing,
    /// How long ago the database last answered the main loop.
    pub reached: Option<Duration>,
    /// How long ago the main loop last went round, with the database or without.
    pub turned: Option<Duration>,
    pub is_draining: bool,
    pub uptime: Duration,
}

impl Default for Vitals {
    fn default() -> Vitals {
        Vitals { began: Instant::now(), inner: Mutex::default() }
    }
}

impl Vitals {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run ended.
    pub fn count_run(&self, job: &str, outcome: &'static str, took: Duration) {
        let mut inner = self.inner();
        let tally = inner.runs.entry((job.to_owned(), outcome)).or_default();
        tally.count += 1;
        tally.seconds += took.as_secs_f64();
    }

    pub fn count_heartbeats(&self, answer: &'static str, leases: usize) {
        *self.inner().heartbeats.entry(answer).or_default() += leases as u64;
    }

    pub fn count_claim(&self, plans: usize, took: Duration) {
        let mut inner = self.inner();
        inner.claims.observe(took);
        inner.claimed += plans as u64;
    }

    /// A pass over a rollup found something to do.
    pub fn count_drain(&self, rollup: &str, marks: i64, buckets: i64, took: Duration) {
        let mut inner = self.inner();
        inner.drains.observe(took);
        let drained = inner.drained.entry(rollup.to_owned()).or_default();
        drained.marks += marks.unsigned_abs();
        drained.buckets += buckets.unsigned_abs();
    }

    pub fn count_swept(&self, leases: usize) {
        self.inner().swept += leases as u64;
    }

    pub fn count_made(&self, due: i64, skipped: i64) {
        let mut inner = self.inner();
        inner.made += due.unsigned_abs();
        inner.skipped += skipped.unsigned_abs();
    }

    pub fn set_running(&self, running: usize) {
        self.inner().running = running;
    }

    pub fn set_hearing(&self, hearing: Hearing) {
        self.inner().hearing = hearing;
    }

    pub fn set_sessions(&self, lent: usize, idle: usize) {
        self.inner().sessions = (lent, idle);
    }

    /// The database answered.
    pub fn reached(&self) {
        self.inner().reached_at = Some(Instant::now());
    }

    /// The main loop went round.
    pub fn turned(&self) {
        self.inner().turned_at = Some(Instant::now());
    }

    /// No more plans are taken.
    pub fn draining(&self) {
        self.inner().is_draining = true;
    }

    /// All counters at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner();
        Snapshot {
            runs: inner.runs.iter().map(|((job, outcome), tally)| (job.clone(), *outcome, *tally)).collect(),
            heartbeats: inner.heartbeats.iter().map(|(answer, count)| (*answer, *count)).collect(),
            claims: inner.claims,
            drains: inner.drains,
            drained: inner.drained.iter().map(|(rollup, drained)| (rollup.clone(), *drained)).collect(),
            claimed: inner.claimed,
            swept: inner.swept,
            made: inner.made,
            skipped: inner.skipped,
            running: inner.running,
            sessions: inner.sessions,
            hearing: inner.hearing,
            reached: inner.reached_at.map(|at| at.elapsed()),
            turned: inner.turned_at.map(|at| at.elapsed()),
            is_draining: inner.is_draining,
            uptime: self.began.elapsed(),
        }
    }
}
