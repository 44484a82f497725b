//! Is this connection safe for a session lock? A transaction pooler hands each transaction to whichever server
//! process is free: two runs then hold "their" lock in one process, or each releases another's. refinery runs
//! through such a pooler without complaint, and races.
//!
//! Three probes, because the second and third may pass by luck on an idle pool: a setting of the start-up packet must
//! arrive (1), two connections must be two processes and stay so (2), and what one has locked the other must not get (3).

use std::hash::{BuildHasher, Hasher, RandomState};

use super::MigrateError;
use super::lock::{RUN_KEY, try_lock, unlock};
use crate::db::connect::{connect, connect_with_options};
use crate::db::target::Target;
use crate::db::{DbError, Executor, Session};

const BACKEND: &str = include_str!("../../sql/migrate/backend.sql");
const SETTINGS: &str = include_str!("../../sql/migrate/run_settings.sql");

/// What stands between us and the server, as the operator says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing that pools: all probes.
    #[default]
    None,
    /// A pooler that keeps a server process for each client connection: it may drop start-up settings, so the first
    /// probe is left out.
    Session,
}

/// The two connections of a run.
pub(super) struct Connections {
    /// Holds the lock and does nothing else.
    pub lock: Session,
    pub lock_pid: i32,
    /// Runs the migrations.
    pub work: Session,
}

/// What the server says about the process that answers.
struct Backend {
    pid: i32,
    in_recovery: bool,
    token: Option<String>,
}

/// Opens both connections and probes them; nothing is locked or written.
///
/// # Errors
///
/// [`MigrateError::Unsafe`] for a transaction pooler or a read replica.
pub(super) async fn open(target: &Target, pooler: Pooler) -> Result<Connections, MigrateError> {
    let lock = match pooler {
        Pooler::None => marked(target).await?,
        Pooler::Session => connect(target, "migrate lock").await?,
    };
    let first = backend(&lock).await?;
    if first.in_recovery {
        return Err(MigrateError::Unsafe(format!("{target} is a read replica; connect to the primary")));
    }
    let mut work = connect(target, "migrate").await?;
    let tx = work.begin().await?;
    let other = backend(&tx).await?;
    let again = backend(&lock).await?;
    tx.rollback().await?;
    if first.pid != again.pid || first.pid == other.pid {
        return Err(pooled("its connections share or change server processes"));
    }
    lock.query(SETTINGS, &[]).await?;
    settle(&work).await?;
    Ok(Connections { lock, lock_pid: first.pid, work })
}

/// Gives a session of the run its settings.
pub(super) async fn settle(session: &impl Executor) -> Result<(), DbError> {
    session.query(SETTINGS, &[]).await?;
    Ok(())
}

/// The first probe: a connection whose start-up packet carries a token, which must have arrived.
async fn marked(target: &Target) -> Result<Session, MigrateError> {
    let token = format!("{:016x}", RandomState::new().build_hasher().finish());
    let options = format!("-c highwater.session={token}");
    let session = match connect_with_options(target, "migrate lock", &options).await {
        Ok(session) => session,
        Err(DbError::Connect { reason, .. }) if reason.contains("unsupported startup parameter") => {
            return Err(pooled(&format!("it refuses start-up settings ({reason})")));
        }
        Err(error) => return Err(error.into()),
    };
    if backend(&session).await?.token != Some(token) {
        return Err(pooled("it drops start-up settings"));
    }
    Ok(session)
}

/// The third probe: while the run's lock is held, the working session must not get it.
///
/// # Errors
///
/// [`MigrateError::Unsafe`].
pub(super) async fn exclusive(work: &Session) -> Result<(), MigrateError> {
    if !try_lock(work, RUN_KEY).await? {
        return Ok(());
    }
    unlock(work, RUN_KEY).await?;
    Err(pooled("two connections can hold one lock"))
}

async fn backend(session: &impl Executor) -> Result<Backend, DbError> {
    let row = session.query_one(BACKEND, &[]).await?;
    Ok(Backend {
        pid: row.try_get("pid")?,
        in_recovery: row.try_get("in_recovery")?,
        token: row.try_get("token")?,
    })
}

fn pooled(sign: &str) -> MigrateError {
    MigrateError::Unsafe(format!(
        "a pooler stands before the database, and {sign}, so no lock could keep two runs apart; connect to the server \
         directly, or through a pool in session mode with --pooler=session"
    ))
}
