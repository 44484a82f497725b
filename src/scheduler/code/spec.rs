//! One job in code: when it runs, under which rules, and the handler that does its work.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::run::{Ended, Run, RunError};
use crate::scheduler::job::{Draft, Kind, When};
use crate::scheduler::planner::CatchUp;

/// What does the work of a run.
pub(super) type Handler = Arc<dyn Fn(Run) -> BoxFuture<'static, Result<Ended, RunError>> + Send + Sync>;

/// What a job works on: each scope is planned, claimed and run by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// One, named by the empty text.
    Single,
    /// One for each installed rollup, named like it.
    Rollups,
    /// Those.
    Listed(Vec<String>),
}

/// A job whose handler is code. The rules that are not set are those of `highwater job add`.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use highwater::{Ended, JobSpec};
///
/// let spec = JobSpec::every("close_day", Duration::from_secs(86_400), |run| async move {
///     let mut session = run.session().await?;
///     let tx = session.begin().await?;
///     highwater::Executor::query(&tx, "SELECT app.close_day($1)", &[&run.plan_time()]).await?;
///     // The effects and the end of the run are one commit: they happen once, or not at all.
///     Ok(tx.finish(()).await?)
/// })
/// .delay(Duration::from_secs(2 * 3600))
/// .catch_up_every(Duration::from_secs(30 * 86_400), 100);
/// assert_eq!(spec.name(), "close_day");
/// ```
#[derive(Clone)]
pub struct JobSpec {
    pub(super) draft: Draft,
    pub(super) scopes: Scopes,
    pub(super) handler: Handler,
}

impl std::fmt::Debug for JobSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JobSpec").field("draft", &self.draft).field("scopes", &self.scopes).finish()
    }
}

impl JobSpec {
    /// A job whose plan times lie `cadence` apart, counted from Monday, 2001-01-01 00:00 UTC.
    ///
    /// A handler may run again for the same plan time, after a failure or a crash; what it writes through
    /// [`FencedTx::finish`](super::run::FencedTx::finish) happens exactly once all the same.
    pub fn every<H, W>(name: &str, cadence: Duration, handler: H) -> JobSpec
    where
        H: Fn(Run) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Ended, RunError>> + Send + 'static,
    {
        JobSpec::at(name, When::Every(cadence), handler)
    }

    /// A job whose plan times come as a cron expression fires in an IANA zone. What clocks there skip fires at the end
    /// of the gap; what they show twice fires once if the hour is fixed, and both times if it is `*` or has a step.
    /// `Worker::build` refuses an expression that cannot be read or never fires.
    ///
    /// ```
    /// use highwater::{Ended, JobSpec};
    /// let spec = JobSpec::cron("report", "0 7 * * MON-FRI", "Europe/Berlin", |_| async { Ok(Ended::done(())) });
    /// assert_eq!(spec.name(), "report");
    /// ```
    pub fn cron<H, W>(name: &str, expression: &str, zone: &str, handler: H) -> JobSpec
    where
        H: Fn(Run) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Ended, RunError>> + Send + 'static,
    {
        let when = When::Cron { expression: expression.to_owned(), zone: zone.to_owned() };
        JobSpec::at(name, when, handler)
    }

    fn at<H, W>(name: &str, when: When, handler: H) -> JobSpec
    where
        H: Fn(Run) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Ended, RunError>> + Send + 'static,
    {
        JobSpec {
            draft: Draft::at(name, Kind::Code, when),
            scopes: Scopes::Single,
            handler: Arc::new(move |run| Box::pin(handler(run))),
        }
    }

    pub fn name(&self) -> &str {
        &self.draft.name
    }

    /// A plan is due this long after its time; 0 unless set.
    pub fn delay(mut self, delay: Duration) -> JobSpec {
        self.draft.schedule_delay = delay;
        self
    }

    /// Of missed plan times the newest runs and covers the others, unless all are older than `window`. The rule unless
    /// set, with a window of a day.
    pub fn catch_up_latest(mut self, window: Duration) -> JobSpec {
        (self.draft.catch_up, self.draft.catch_up_window) = (CatchUp::Latest, window);
        self
    }

    /// All plan times that were missed by no more than `window` run, oldest first; at most `cap` wait at once.
    pub fn catch_up_every(mut self, window: Duration, cap: i32) -> JobSpec {
        (self.draft.catch_up, self.draft.catch_up_window) = (CatchUp::Every, window);
        self.draft.catch_up_cap = cap;
        self
    }

    /// Plans of a scope run beside each other; else one at a time, oldest first.
    pub fn allow_overlap(mut self) -> JobSpec {
        self.draft.allows_overlap = true;
        self
    }

    /// A run that takes longer is cancelled and has failed; an hour unless set.
    pub fn timeout(mut self, timeout: Duration) -> JobSpec {
        self.draft.timeout = timeout;
        self
    }

    /// Pause before the second attempt, doubled each time up to an hour; a minute unless set.
    pub fn backoff(mut self, backoff: Duration) -> JobSpec {
        self.draft.backoff = backoff;
        self
    }

    /// A plan that failed this often has failed for good; 3 unless set.
    pub fn max_attempts(mut self, attempts: i32) -> JobSpec {
        self.draft.max_attempts = attempts;
        self
    }

    /// A plan whose worker vanished this often is poisoned; 3 unless set. 1: never run again what may have run.
    pub fn max_crashes(mut self, crashes: i32) -> JobSpec {
        self.draft.max_crashes = crashes;
        self
    }

    /// What the job works on; [`Scopes::Single`] unless set.
    pub fn scopes(mut self, scopes: Scopes) -> JobSpec {
        self.scopes = scopes;
        self
    }
}
