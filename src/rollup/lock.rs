//! The lock that makes two backfills of one rollup take turns and name each other. It is polled, never waited for in
//! the server: a waiting backend would hold a snapshot that CREATE INDEX CONCURRENTLY waits for.

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

/// Held until dropped: the lock lives as long as its connection.
pub(super) struct BackfillLock {
    _session: Session,
}

impl BackfillLock {
    /// Takes the lock on a connection of its own, waiting at most `wait`.
    ///
    /// # Errors
    ///
    /// [`RollupError::Busy`] with the holder's name when the time is over, [`RollupError::Stopped`] when a signal came.
    pub async fn take(
        target: &Target,
        subcommand: &str,
        name: &RollupName,
        wait: Option<Duration>,
        listener: &dyn Listener,
        shutdown: &Shutdown,
    ) -> Result<BackfillLock, RollupError> {
        let session = connect::connect(target, subcommand).await?;
        let began = Instant::now();
        let mut told = String::new();
        loop {
            let row =
                session.query_one(include_str!("../../sql/rollup/try_lock.sql"), &[&name.as_str()]).await?;
            if row.get("taken") {
                return Ok(BackfillLock { _session: session });
            }
            let holder = holder(&session, name).await?;
            if holder != told && !holder.is_empty() {
                listener.hear(News::Waiting { rollup: name.clone(), holder: holder.clone() });
                told = holder;
            }
            if shutdown.is_requested() {
                return Err(RollupError::Stopped { name: name.clone(), holder: told });
            }
            if wait.is_some_and(|wait| began.elapsed() >= wait) {
                return Err(RollupError::Busy { name: name.clone(), holder: told });
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = shutdown.at_least(Urgency::Soon) => {}
            }
        }
    }
}

/// Who holds the lock, in words; empty when it has just become free.
async fn holder(session: &Session, name: &RollupName) -> Result<String, RollupError> {
    let row = session.query_opt(include_str!("../../sql/rollup/lock_holder.sql"), &[&name.as_str()]).await?;
    Ok(row.map(|row| row.get("holder")).unwrap_or_default())
}
