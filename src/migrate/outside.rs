//! One version outside a transaction: its one statement, then its history row in a transaction of its own.
//!
//! Between the two a run may be cut off. So a beginning is recorded first, and the statement is one that can be run
//! again: a valid index is kept, an invalid one rebuilt, an index that is gone stays gone.

use super::MigrateError;
use super::apply::{Step, failed, run};
use super::concurrent::{IndexBuild, dropped_index};
use super::index;
use super::scope::HistoryTable;
use super::statement::Statement;
use super::{history, ledger, probe};
use crate::db::connect::restore;
use crate::db::{DbError, Executor, Session};

const EXISTS: &str = include_str!("../../sql/migrate/exists.sql");

/// Applies the version and returns its duration in milliseconds.
///
/// # Errors
///
/// [`MigrateError::Statement`], [`MigrateError::Index`], [`MigrateError::LockLost`]; what the statement did stays.
pub(super) async fn apply(
    session: &mut Session,
    table: &HistoryTable,
    step: &Step<'_>,
) -> Result<i64, MigrateError> {
    let file = step.file;
    step.lock.fence(session).await?;
    check_guards(session, step).await?;
    let started_at = ledger::now(session).await?;
    let begun = ledger::read(session, table).await?.contains_key(&file.version);
    ledger::begin(session, table, file)
        .await
        .map_err(|source| failed(file, "its beginning was not recorded", source))?;
    for statement in file.statements() {
        if let Some(build) = IndexBuild::of(&statement) {
            index::build(session, step, &statement, &build).await?;
        } else if begun && is_gone(session, &statement).await? {
            // The run that was cut off had dropped it.
        } else {
            run(session, file, &statement).await?;
        }
    }
    restore(session).await?;
    probe::settle(session).await?;
    let tx = session.begin().await?;
    step.lock.fence(&tx).await?;
    let record = async {
        history::record(&tx, table, file.version, &file.name, file.checksum()).await?;
        ledger::finish(&tx, table, file.version, started_at).await
    };
    let duration_ms = record.await.map_err(|source| failed(file, "its history row failed", source))?;
    tx.commit().await.map_err(|source| failed(file, "its commit failed", source))?;
    Ok(duration_ms)
}

/// Guards of registered hooks: there is no transaction of the migration to hold them, so they are asked just before.
async fn check_guards(session: &mut Session, step: &Step<'_>) -> Result<(), MigrateError> {
    if step.hooks.is_empty() {
        return Ok(());
    }
    let tx = session.begin().await?;
    for hook in step.hooks {
        hook.guard(&tx).await.map_err(|source| match source {
            source @ DbError::GuardRefused(_) => {
                MigrateError::GuardRefused { path: step.file.path.clone(), source }
            }
            source => failed(step.file, "its guard failed", source),
        })?;
    }
    Ok(tx.rollback().await?)
}

/// Whether the statement drops an index that is no longer there.
async fn is_gone(session: &Session, statement: &Statement<'_>) -> Result<bool, DbError> {
    let Some(index) = dropped_index(statement) else { return Ok(false) };
    Ok(!session.query_one(EXISTS, &[&index]).await?.try_get::<_, bool>("present")?)
}
