//! Removing a rollup: nothing of it stays, neither trigger nor function.

use super::error::RollupError;
use super::install::{self, INSTALL_PAUSE, INSTALL_TRIES, install_capture};
use super::name::RollupName;
use super::quote::TableName;
use super::{render, source, watched};
use crate::db::{DbError, Executor, Session, Tx};

/// Drops a rollup with its target, marks, functions and ledger; the capture triggers go with the last rollup over the
/// source. Waits for transactions that are writing to the source, in short tries, so that others do not queue behind
/// it. The source itself may be gone already.
///
/// # Errors
///
/// [`RollupError::Unknown`]; what the server says when other objects depend on the target.
pub async fn run(session: &mut Session, name: &RollupName) -> Result<(), RollupError> {
    for _ in 1..INSTALL_TRIES {
        match attempt(session, name).await {
            Err(RollupError::Db(DbError::LockTimeout(_) | DbError::Retry(_))) => {
                tokio::time::sleep(INSTALL_PAUSE).await;
            }
            other => return other,
        }
    }
    attempt(session, name).await
}

async fn attempt(session: &mut Session, name: &RollupName) -> Result<(), RollupError> {
    let tx = session.begin().await?;
    let dropped = remove(&tx, name).await;
    match dropped {
        Ok(()) => Ok(tx.commit().await?),
        Err(error) => {
            tx.rollback().await?;
            Err(error)
        }
    }
}

async fn remove(tx: &Tx<'_>, name: &RollupName) -> Result<(), RollupError> {
    tx.batch(install::SETTINGS).await?;
    let entry = install::entry(tx, name).await?;
    let watched = watched::tables(tx, name).await?;
    if tx.query_opt(include_str!("../../sql/rollup/delete.sql"), &[&name.as_str()]).await?.is_none() {
        return Err(RollupError::Unknown { name: name.clone(), known: Vec::new() });
    }
    match tx.query_opt(include_str!("../../sql/rollup/resolve_table.sql"), &[&entry.source]).await? {
        Some(row) => {
            let table = TableName { schema: row.get("schema"), table: row.get("name") };
            let relations = source::relations(tx, &table).await?;
            install_capture(tx, &table, &relations).await?;
        }
        // Without its table the function has no trigger left; another rollup over it has lost its source too.
        None => tx.batch(&format!("DROP FUNCTION IF EXISTS {}() CASCADE", entry.capture_function)).await?,
    }
    for table in watched {
        if let Some(row) = tx.query_opt(include_str!("../../sql/rollup/resolve_table.sql"), &[&table]).await?
        {
            let table = TableName { schema: row.get("schema"), table: row.get("name") };
            watched::install_capture(tx, &table).await?;
        }
    }
    let target = tx.query_opt(include_str!("../../sql/rollup/resolve_table.sql"), &[&entry.target]).await?;
    let target = target.map(|row| TableName { schema: row.get("schema"), table: row.get("name") }.quoted());
    tx.batch(&render::drop(name, target.as_deref())).await?;
    Ok(())
}
