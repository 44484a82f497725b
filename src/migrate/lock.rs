//! The run's lock: one session advisory lock on a connection of its own, polled, watched and named.
//!
//! The database has one, so all runs on it take turns, whatever folder they come from. A second lock is held by the
//! session that does the work: a killed program's first lock is gone at once, but its backend may go on with the
//! statement in hand, and the next run waits for that too.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::MigrateError;
use super::event::{Event, Observer};
use crate::db::{DbError, Executor, Session};
use crate::ground::shutdown::{Shutdown, Urgency};

const TRY: &str = include_str!("../../sql/migrate/try_lock.sql");
const UNLOCK: &str = include_str!("../../sql/migrate/unlock.sql");
const HOLDER: &str = include_str!("../../sql/migrate/lock_holder.sql");
const FENCE: &str = include_str!("../../sql/migrate/fence.sql");

/// "highwate" in ASCII: readable in `pg_locks`, and no one's by accident. Advisory locks are scoped to the database.
pub const RUN_KEY: i64 = 0x6869_6768_7761_7465;

/// Held by the session that works, with the same spelling and the next letter.
pub const WORK_KEY: i64 = RUN_KEY + 1;

/// How often a waiter asks. One cheap call; a turn is taken over at once for a person's eye.
const POLL: Duration = Duration::from_millis(200);

/// How often the holder makes sure that it still is. The fence, not this, keeps a loser from committing; this ends a
/// long statement soon after the loss.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long to wait for another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    No,
    AtMost(Duration),
}

/// The lock, held. Dropped, it is given back when its connection has closed.
pub struct RunLock {
    session: Arc<Session>,
    pid: i32,
    lost: watch::Receiver<bool>,
    heartbeat: JoinHandle<()>,
}

impl RunLock {
    /// Starts to watch a lock that `session`, server process `pid`, has just taken with [`poll`].
    pub(super) fn watch(session: Session, pid: i32) -> RunLock {
        let session = Arc::new(session);
        let (sender, lost) = watch::channel(false);
        let watched = Arc::clone(&session);
        let heartbeat = tokio::spawn(async move {
            let mut ticks = interval(HEARTBEAT);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if !matches!(held(&*watched, pid).await, Ok(true)) {
                    // No receiver is left when the run is over.
                    let _ = sender.send(true);
                    return;
                }
            }
        });
        RunLock { session, pid, lost, heartbeat }
    }

    /// Asks the database, over the lock's own connection, whether the lock is held.
    pub async fn is_held(&self) -> bool {
        !self.is_lost() && matches!(held(&*self.session, self.pid).await, Ok(true))
    }

    /// Whether the heartbeat has noticed a loss.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Resolves when the heartbeat notices a loss.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // An error means that the heartbeat ended without a word: nothing watches the lock, which is as bad.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// The fence: asks on another session, inside a transaction whose work hangs on the lock.
    ///
    /// # Errors
    ///
    /// [`MigrateError::LockLost`].
    pub(super) async fn fence(&self, tx: &impl Executor) -> Result<(), MigrateError> {
        if held(tx, self.pid).await? { Ok(()) } else { Err(MigrateError::LockLost) }
    }

    /// Gives the lock back now, so that a waiter need not wait for the connection's end.
    pub(super) async fn release(self) {
        self.heartbeat.abort();
        // A failure means that the session is gone, and the lock with it.
        let _ = self.session.query(UNLOCK, &[&RUN_KEY]).await;
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

async fn held(session: &impl Executor, pid: i32) -> Result<bool, DbError> {
    Ok(session.query_one(FENCE, &[&pid, &RUN_KEY]).await?.try_get("held")?)
}

/// Tries once to take the lock of `key` for `session`.
pub(super) async fn try_lock(session: &impl Executor, key: i64) -> Result<bool, DbError> {
    Ok(session.query_one(TRY, &[&key]).await?.try_get("locked")?)
}

/// Undoes one [`try_lock`].
pub(super) async fn unlock(session: &impl Executor, key: i64) -> Result<(), DbError> {
    session.query(UNLOCK, &[&key]).await?;
    Ok(())
}

/// Takes the lock of `key` for `session`, asking again until it is free; tells each holder once.
///
/// # Errors
///
/// [`MigrateError::LockBusy`] when `deadline` has passed, [`MigrateError::Interrupted`] by a signal.
pub(super) async fn poll(
    session: &impl Executor,
    key: i64,
    started: Instant,
    wait: Wait,
    shutdown: &Shutdown,
    observer: &dyn Observer,
) -> Result<(), MigrateError> {
    let mut named = String::new();
    loop {
        if try_lock(session, key).await? {
            return Ok(());
        }
        let holder = holder(session, key).await?;
        let waited = started.elapsed();
        if let Some(holder) = &holder
            && *holder != named
            && wait != Wait::No
        {
            observer.observe(&Event::Waiting { holder: holder.clone() });
            named.clone_from(holder);
        }
        let over = match wait {
            Wait::No => true,
            Wait::AtMost(longest) => waited >= longest,
        };
        if over {
            let holder = holder.unwrap_or_else(|| "it ended just now; run again".to_owned());
            return Err(MigrateError::LockBusy { holder, waited });
        }
        tokio::select! {
            () = sleep(POLL) => {}
            () = shutdown.at_least(Urgency::Soon) => return Err(MigrateError::Interrupted),
        }
    }
}

/// Who holds the lock, in words: `process 4711 (highwater/migrate, user app, from 10.0.0.7, since ...)`.
async fn holder(session: &impl Executor, key: i64) -> Result<Option<String>, DbError> {
    let Some(row) = session.query_opt(HOLDER, &[&key]).await? else { return Ok(None) };
    let pid: i32 = row.try_get("pid")?;
    let application: Option<String> = row.try_get("application_name")?;
    let user: Option<String> = row.try_get("user_name")?;
    let client: Option<String> = row.try_get("client")?;
    let since: Option<DateTime<Utc>> = row.try_get("backend_start")?;
    let words = [
        application.filter(|name| !name.is_empty()),
        user.map(|user| format!("user {user}")),
        client.map(|client| format!("from {client}")),
        since.map(|since| format!("since {}", since.format("%Y-%m-%d %H:%M:%S UTC"))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    Ok(Some(format!("process {pid} ({})", words.join(", "))))
}
