//! One version in one transaction: fence, guards, the file's statements, its rollups, its history row, fence, commit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, info};

use super::MigrateError;
use super::engine::RollupEngine;
use super::event::{Event, Observer, millis};
use super::file::MigrationFile;
use super::hook::Hook;
use super::lock::RunLock;
use super::scope::HistoryTable;
use super::statement::{Place, Statement};
use super::{guard, history, ledger, probe};
use crate::db::connect::restore;
use crate::db::{DbError, Executor, Session, Tx};
use crate::ground::shutdown::{Shutdown, Urgency};

const LOCK_TIMEOUT: &str = include_str!("../../sql/migrate/lock_timeout.sql");

/// Pause after the first attempt that did not get its locks; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One version that is about to be applied, and what it needs.
pub(super) struct Step<'a> {
    pub file: &'a MigrationFile,
    pub lock: &'a RunLock,
    pub engine: Option<&'a Arc<dyn RollupEngine>>,
    pub hooks: &'a [Arc<dyn Hook>],
    pub observer: &'a dyn Observer,
    pub shutdown: &'a Shutdown,
}

/// Applies the version, again and again while its locks are not to be had, and returns its duration in milliseconds.
///
/// # Errors
///
/// [`MigrateError::Statement`], [`MigrateError::Transaction`], [`MigrateError::GuardRefused`],
/// [`MigrateError::LockLost`], [`MigrateError::Interrupted`]; nothing of the version stays.
pub(super) async fn apply(
    session: &mut Session,
    table: &HistoryTable,
    step: &Step<'_>,
) -> Result<i64, MigrateError> {
    let retries = step.file.directives.lock_wait().retries;
    let mut attempt = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match once(session, table, step).await {
            Ok(duration_ms) => return Ok(duration_ms),
            Err(error) => error,
        };
        if attempt == retries || !may_be_retried(&error) {
            return Err(error);
        }
        attempt += 1;
        debug!(version = step.file.version, attempt, "migration is tried again: {error}");
        step.observer.observe(&Event::Retry {
            scope: step.file.scope,
            version: step.file.version,
            attempt,
            of: retries,
            pause_ms: millis(pause),
            reason: error.to_string(),
        });
        tokio::select! {
            () = sleep(pause) => {}
            () = step.shutdown.at_least(Urgency::Soon) => return Err(MigrateError::Interrupted),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn may_be_retried(error: &MigrateError) -> bool {
    match error {
        MigrateError::Statement { source, .. } | MigrateError::Transaction { source, .. } => {
            matches!(source, DbError::LockTimeout(_) | DbError::Retry(_))
        }
        _ => false,
    }
}

async fn once(session: &mut Session, table: &HistoryTable, step: &Step<'_>) -> Result<i64, MigrateError> {
    let file = step.file;
    let tx = session.begin().await?;
    match inside(&tx, table, step).await {
        Ok(duration_ms) => {
            tx.commit().await.map_err(|source| failed(file, "its commit failed", source))?;
            info!(version = file.version, duration_ms, "applied {file}");
            Ok(duration_ms)
        }
        Err(error) => {
            // The first error is the one to tell; a rollback fails only where the connection is gone.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

async fn inside(tx: &Tx<'_>, table: &HistoryTable, step: &Step<'_>) -> Result<i64, MigrateError> {
    let file = step.file;
    let lock_timeout = file.directives.lock_wait().timeout.as_millis().to_string();
    tx.query(LOCK_TIMEOUT, &[&lock_timeout]).await?;
    step.lock.fence(tx).await?;
    let started_at = ledger::now(tx).await?;
    guards(tx, step).await?;
    for statement in file.statements() {
        run(tx, file, &statement).await?;
    }
    // What the file set, a search_path or a role, must neither reach the rows below nor the next file.
    restore(tx).await?;
    probe::settle(tx).await?;
    tx.query(LOCK_TIMEOUT, &[&lock_timeout]).await?;
    install(tx, step).await?;
    let record = async {
        history::record(tx, table, file.version, &file.name, file.checksum()).await?;
        ledger::begin(tx, table, file).await?;
        ledger::finish(tx, table, file.version, started_at).await
    };
    let duration_ms = record.await.map_err(|source| failed(file, "its history row failed", source))?;
    step.lock.fence(tx).await?;
    Ok(duration_ms)
}

/// Every guard of the migration, in its transaction.
async fn guards(tx: &Tx<'_>, step: &Step<'_>) -> Result<(), MigrateError> {
    let path = || step.file.path.clone();
    let refused = |source| match source {
        source @ DbError::GuardRefused(_) => MigrateError::GuardRefused { path: path(), source },
        source => failed(step.file, "its guard failed", source),
    };
    for requirement in &step.file.directives.require {
        guard::assert_current(tx, requirement).await.map_err(refused)?;
    }
    for hook in step.hooks {
        hook.guard(tx).await.map_err(refused)?;
    }
    Ok(())
}

/// Sends one statement; its failure is told with its place in the file.
pub(super) async fn run(
    session: &impl Executor,
    file: &MigrationFile,
    statement: &Statement<'_>,
) -> Result<(), MigrateError> {
    session.batch(statement.text()).await.map_err(|source| at(file, statement, source))
}

/// A statement's failure, with its place.
pub(super) fn at(file: &MigrationFile, statement: &Statement<'_>, source: DbError) -> MigrateError {
    if let DbError::GuardRefused(_) = source {
        // The file called the guard by hand.
        return MigrateError::GuardRefused { path: file.path.clone(), source };
    }
    let place: Place = statement.place(source.server().and_then(|said| said.position));
    MigrateError::Statement { path: file.path.clone(), place, statement: statement.headline(60), source }
}

/// Installs the rollups that the migration brings.
async fn install(tx: &Tx<'_>, step: &Step<'_>) -> Result<(), MigrateError> {
    let Some(engine) = step.engine else { return Ok(()) };
    for definition in &step.file.definitions {
        if let Err(fault) = engine.install(tx, &definition.text, &definition.path).await {
            let attempted = format!("installing {} failed", definition.path.display());
            return Err(match fault.downcast::<DbError>() {
                Ok(source) => failed(step.file, &attempted, *source),
                Err(fault) => {
                    MigrateError::Definition { path: definition.path.clone(), fault: fault.to_string() }
                }
            });
        }
    }
    Ok(())
}

/// A failure of the transaction that is no statement's of the file.
pub(super) fn failed(file: &MigrationFile, attempted: &str, source: DbError) -> MigrateError {
    match source {
        source @ DbError::Lost(_) => MigrateError::Db(source),
        source => {
            MigrateError::Transaction { path: file.path.clone(), attempted: attempted.to_owned(), source }
        }
    }
}
