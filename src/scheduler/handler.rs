//! What a run is given to work with, and which code does its work.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::claim::Claimed;
use super::code::program::Program;
use super::job::Kind;
use super::lease::Hold;
use super::outcome::Outcome;
use super::sessions::Sessions;
use super::vitals::Vitals;
use super::{builtin, code, command, function};
use crate::db::{DbError, Executor, Session, Tx};
use crate::ground::shutdown::Shutdown;

/// A run that fills its plan's time goes on for so long past it that the next plan is due by the database's clock when it ends.
const OVERLAP: Duration = Duration::from_millis(20);

/// What a run works with.
#[derive(Clone)]
pub struct Context {
    pub claimed: Claimed,
    pub hold: Hold,
    pub sessions: Sessions,
    /// Asks for an early end that gives the attempt back; a handler that is nearly done may finish instead.
    pub shutdown: Shutdown,
    /// Where handlers of jobs in code are.
    pub program: Arc<Program>,
    pub vitals: Arc<Vitals>,
}

impl Context {
    /// Opens a transaction that begins with the fence: it may write only while our lease is good, and while it lasts
    /// nobody can take the lease. `None`: the lease is lost.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn fenced<'a>(&self, session: &'a mut Session) -> Result<Option<Tx<'a>>, DbError> {
        let tx = session.begin().await?;
        let timeout = self.claimed.timeout.as_millis().to_string();
        tx.query(include_str!("../../sql/scheduler/run_settings.sql"), &[&timeout]).await?;
        Ok(self.is_held(&tx).await?.then_some(tx))
    }

    /// Asks the database whether the lease is ours; inside a transaction that also keeps it so.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn is_held(&self, db: &impl Executor) -> Result<bool, DbError> {
        let statement = include_str!("../../sql/scheduler/fence.sql");
        Ok(db.query_opt(statement, &[&self.hold.run.0, &self.hold.token.0]).await?.is_some())
    }

    /// When a run that fills the time until the next plan ends, counted from now; called where the run begins.
    pub fn end_of_plan(&self) -> Instant {
        let claimed = &self.claimed;
        let end = claimed.plan_time + chrono::TimeDelta::from_std(claimed.cadence).unwrap_or_default();
        Instant::now() + (end - claimed.now).to_std().unwrap_or_default() + OVERLAP
    }
}

/// Does the work of a run.
pub async fn handle(context: Context) -> Outcome {
    let kind = context.claimed.kind.clone();
    match kind {
        Kind::Builtin => builtin::handle(context).await,
        Kind::Sql { function } => function::call(&context, &function).await,
        Kind::Command { words } => command::start(&context, &words).await,
        Kind::Code => code::run::call(context).await,
    }
}

/// An error of the database as the end of a run: a broken connection is no failure of the job.
pub fn ending(error: &DbError) -> Outcome {
    if error.is_absence() { Outcome::Crashed(error.to_string()) } else { Outcome::Failed(error.to_string()) }
}

/// Says that a run found its lease gone.
pub fn lost(context: &Context) -> Outcome {
    warn!(run = %context.hold.run, job = %context.claimed.job, "run {} stops: its lease is lost", context.hold.run);
    Outcome::Lost
}
