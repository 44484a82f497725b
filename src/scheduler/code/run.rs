//! What a handler is given: which plan it runs for, and transactions that may write only while its lease is good.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::db::{DbError, Executor, Param, Row, Tx};
use crate::ground::shutdown::Shutdown;
use crate::scheduler::handler::{Context, ending, lost};
use crate::scheduler::lease::Hold;
use crate::scheduler::outcome::Outcome;
use crate::scheduler::sessions::{Lent, Sessions};
use crate::scheduler::{SchedulerError, clip};

/// Why a handler failed: any error. One of the database that says that it is away counts as a crash, not as a failure.
pub type RunError = Box<dyn std::error::Error + Send + Sync>;

/// How a handler ended when it did not fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    outcome: Outcome,
}

impl Ended {
    /// It went well, and says so; `()` for nothing. The end is recorded after the handler has returned, together with
    /// those of other runs: work that was done outside of [`FencedTx::finish`] may be done again after a crash.
    pub fn done(result: impl Serialize) -> Ended {
        Ended { outcome: Outcome::Done(value(result)) }
    }

    /// It stopped early because [`Run::shutdown`] asked for it, and gives its attempt back: the plan is due again.
    pub fn given_back() -> Ended {
        Ended { outcome: Outcome::Stopped }
    }
}

/// One run of a job in code.
#[derive(Clone)]
pub struct Run {
    context: Context,
}

impl Run {
    pub fn job(&self) -> &str {
        &self.context.claimed.job
    }

    /// What this run works on; the empty text for a job with a single scope.
    pub fn scope(&self) -> &str {
        &self.context.claimed.scope
    }

    /// The moment that this run is for, however late it is.
    pub fn plan_time(&self) -> DateTime<Utc> {
        self.context.claimed.plan_time
    }

    /// 1 for the first attempt; crashes are not counted.
    pub fn attempt(&self) -> i32 {
        self.context.claimed.attempts
    }

    /// Number of the plan; with [`Run::token`] it tells this run from every other, for effects outside the database.
    pub fn id(&self) -> i64 {
        self.context.hold.run.0
    }

    /// Rises with each claim of the same plan.
    pub fn token(&self) -> i64 {
        self.context.hold.token.0
    }

    /// Asks for an early end. A handler that does not look goes on until the worker's drain time-out and is then cut
    /// off; it gives its attempt back either way.
    pub fn shutdown(&self) -> &Shutdown {
        &self.context.shutdown
    }

    /// A connection that only this run uses.
    ///
    /// # Errors
    ///
    /// [`DbError::Connect`].
    pub async fn session(&self) -> Result<RunSession, DbError> {
        let lent = self.context.sessions.take().await?;
        Ok(RunSession { context: self.context.clone(), lent: Some(lent), is_idle: true })
    }
}

/// A connection of one run. It is kept for other runs when every transaction on it was ended, and closed otherwise.
pub struct RunSession {
    context: Context,
    lent: Option<Lent>,
    is_idle: bool,
}

impl RunSession {
    /// Opens a READ COMMITTED transaction that begins with the fence: while it lasts nobody can take the lease away, and
    /// with a lost lease it does not open. It has the job's time-out as `statement_timeout`, and the server ends it when
    /// it lies idle for ten seconds: slow work outside of the database comes before it.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::LeaseLost`], and what the server says.
    pub async fn begin(&mut self) -> Result<FencedTx<'_>, SchedulerError> {
        let RunSession { context, lent, is_idle } = self;
        let session = lent.as_mut().expect("taken out only by drop");
        *is_idle = false;
        let tx = context.fenced(session).await?.ok_or(SchedulerError::LeaseLost)?;
        Ok(FencedTx { tx, hold: context.hold.clone(), is_idle })
    }
}

impl Drop for RunSession {
    fn drop(&mut self) {
        let Some(lent) = self.lent.take().filter(|_| self.is_idle) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let sessions: Sessions = self.context.sessions.clone();
        runtime.spawn(async move { sessions.put(lent).await });
    }
}

/// A transaction under the fence. Dropped, it rolls back.
pub struct FencedTx<'a> {
    tx: Tx<'a>,
    hold: Hold,
    is_idle: &'a mut bool,
}

impl FencedTx<'_> {
    /// Commits what was written so far; the run goes on.
    ///
    /// # Errors
    ///
    /// As [`Tx::commit`].
    pub async fn commit(self) -> Result<(), DbError> {
        self.tx.commit().await?;
        *self.is_idle = true;
        Ok(())
    }

    /// Ends the run in this very transaction, with what it has to say; `()` for nothing. Its effects and its end are one
    /// commit, so that they happen exactly once however often the plan is tried. The handler returns the value as it is.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::LeaseLost`]: nothing was written. A lost connection leaves the outcome to the database: the
    /// plan is done, or is tried again with nothing of this transaction left.
    pub async fn finish(self, result: impl Serialize) -> Result<Ended, SchedulerError> {
        let FencedTx { tx, hold, is_idle } = self;
        hold.ending();
        let statement = include_str!("../../../sql/scheduler/finish_own.sql");
        let result = clip::result(&value(result));
        let finished = tx.query_opt(statement, &[&hold.run.0, &hold.token.0, &result]).await?;
        if finished.is_none() {
            tx.rollback().await?;
            *is_idle = true;
            return Err(SchedulerError::LeaseLost);
        }
        tx.commit().await?;
        *is_idle = true;
        Ok(Ended { outcome: Outcome::Recorded })
    }
}

impl Executor for FencedTx<'_> {
    async fn query(&self, statement: &str, params: &[&dyn Param]) -> Result<Vec<Row>, DbError> {
        self.tx.query(statement, params).await
    }

    async fn batch(&self, statements: &str) -> Result<(), DbError> {
        self.tx.batch(statements).await
    }
}

/// Lets the handler of a claimed run work.
pub(in crate::scheduler) async fn call(context: Context) -> Outcome {
    let Some(handler) = context.program.handler(&context.claimed.job) else {
        return Outcome::Failed(format!("this program has no handler for job \"{}\"", context.claimed.job));
    };
    match handler(Run { context: context.clone() }).await {
        Ok(ended) => ended.outcome,
        Err(error) => outcome_of(&context, &*error),
    }
}

/// An error of ours decides by its kind, wherever the application has wrapped it.
fn outcome_of(context: &Context, error: &(dyn std::error::Error + 'static)) -> Outcome {
    let mut cause = Some(error);
    while let Some(one) = cause {
        match (one.downcast_ref::<SchedulerError>(), one.downcast_ref::<DbError>()) {
            (Some(SchedulerError::LeaseLost), _) => return lost(context),
            (Some(SchedulerError::Db(absence)), _) | (_, Some(absence)) if absence.is_absence() => {
                return ending(absence);
            }
            _ => cause = one.source(),
        }
    }
    Outcome::Failed(error.to_string())
}

fn value(result: impl Serialize) -> serde_json::Value {
    serde_json::to_value(result).unwrap_or_else(|error| serde_json::json!({"unrecorded": error.to_string()}))
}
