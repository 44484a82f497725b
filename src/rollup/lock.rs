//! The locks that make two backfills, or two alters, of one rollup take turns and name each other. They are polled,
//! never waited for in the server: a waiting backend would hold a snapshot that CREATE INDEX CONCURRENTLY waits for.

use std::time::Duration;

use tokio::time::Instant;

use super::error::RollupError;
use super::name::RollupName;
use super::watch::{Listener, News};
use crate::db::target::Target;
use crate::db::{Executor, Session, connect};
use crate::ground::shutdown::{Shutdown, Urgency};

/// How often the lock is asked for.
const POLL: Duration = Duration::from_millis(200);

/// Work that is done once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusive {
    Backfill,
    Alter,
}

impl Exclusive {
    /// One half of the lock's key; the name is the other.
    fn key(self) -> &'static str {
        match self {
            Exclusive::Backfill => "highwater.backfill",
            Exclusive::Alter => "highwater.alter",
        }
    }
}

impl std::fmt::Display for Exclusive {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Exclusive::Backfill => "backfill",
            Exclusive::Alter => "alter",
        })
    }
}

/// Held until dropped: the lock lives as long as its connection.
pub(super) struct WorkLock {
    _session: Session,
}

impl WorkLock {
    /// Takes the lock on a connection of its own, waiting at most `wait`.
    ///
    /// # Errors
    ///
    /// [`RollupError::Busy`] with the holder's name when the time is over, [`RollupError::Stopped`] when a signal came.
    pub async fn take(
        target: &Target,
        subcommand: &str,
        work: Exclusive,
        name: &RollupName,
        wait: Option<Duration>,
        listener: &dyn Listener,
        shutdown: &Shutdown,
    ) -> Result<WorkLock, RollupError> {
        let session = connect::connect(target, subcommand).await?;
        let began = Instant::now();
        let mut told = String::new();
        loop {
            let row = session
                .query_one(include_str!("../../sql/rollup/try_lock.sql"), &[&name.as_str(), &work.key()])
                .await?;
            if row.get("taken") {
                return Ok(WorkLock { _session: session });
            }
            let holder = holder(&session, work, name).await?;
            if holder != told && !holder.is_empty() {
                listener.hear(News::Waiting { rollup: name.clone(), work, holder: holder.clone() });
                told = holder;
            }
            if shutdown.is_requested() {
                return Err(RollupError::Stopped { work, name: name.clone(), holder: told });
            }
            if wait.is_some_and(|wait| began.elapsed() >= wait) {
                return Err(RollupError::Busy { work, name: name.clone(), holder: told });
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = shutdown.at_least(Urgency::Soon) => {}
            }
        }
    }
}

/// Who holds the lock, in words; empty when it has just become free.
async fn holder(session: &Session, work: Exclusive, name: &RollupName) -> Result<String, RollupError> {
    let statement = include_str!("../../sql/rollup/lock_holder.sql");
    let row = session.query_opt(statement, &[&name.as_str(), &work.key()]).await?;
    Ok(row.map(|row| row.get("holder")).unwrap_or_default())
}
