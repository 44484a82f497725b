//! Tables that came to a rollup or went without firing a trigger: partitions that were attached, detached or dropped.
//!
//! Nothing in the server tells of them, short of an event trigger, which only a superuser may make. So the tables that
//! capture stands on are remembered with the range of times that their rows can have, and whoever drains compares them
//! with the catalog: what came gets capture, and what came or went is marked as a range. Until then `status` tells.

use super::error::RollupError;
use super::install::{INSTALL_PAUSE, INSTALL_TRIES, SETTINGS};
use super::name::RollupName;
use super::quote::TableName;
use super::{render, watched};
use crate::db::{DbError, Executor, Row, Session, Tx};

/// Puts capture on tables that came, and marks what came or went. A lock time-out is tried again; `is_patient` says how
/// often. Returns how many tables were looked after.
///
/// # Errors
///
/// [`DbError::LockTimeout`] while writers hold a new partition for longer; a missing right to create triggers on it.
pub async fn follow(
    session: &mut Session,
    name: &RollupName,
    is_patient: bool,
) -> Result<usize, RollupError> {
    // Most often nothing has moved: then no transaction is begun and no lock is asked for.
    if moved(&*session, name).await?.is_empty() {
        return Ok(0);
    }
    let mut tries = if is_patient { INSTALL_TRIES } else { 1 };
    loop {
        let tx = session.begin().await?;
        let followed = attempt(&tx, name).await;
        match followed {
            Ok(tables) => {
                tx.commit().await?;
                return Ok(tables);
            }
            Err(error) => {
                tx.rollback().await?;
                tries -= 1;
                let may_pass = matches!(error, RollupError::Db(DbError::LockTimeout(_) | DbError::Retry(_)));
                if !may_pass || tries == 0 {
                    return Err(error);
                }
                tokio::time::sleep(INSTALL_PAUSE).await;
            }
        }
    }
}

async fn attempt(tx: &Tx<'_>, name: &RollupName) -> Result<usize, RollupError> {
    tx.batch(SETTINGS).await?;
    let source = super::install::entry(tx, name).await?.source;
    tx.query(include_str!("../../sql/rollup/lock_capture.sql"), &[&source]).await?;
    // Looked at again under the lock: somebody else may have been first.
    let moved = moved(tx, name).await?;
    for table in &moved {
        if let Some(relation) = &table.relation {
            let text = if table.is_source {
                render::triggers(&render::capture_function(&table.root), relation)
            } else {
                watched::triggers(&table.root, relation)
            };
            tx.batch(&text).await?;
        }
    }
    // After the triggers have waited for writers: what they wrote lies under the mark.
    mark(tx, name, &moved).await?;
    remember(tx, name).await?;
    Ok(moved.len())
}

/// A table that came or went.
pub(super) struct Moved {
    /// The source or watched table that it belongs to.
    root: TableName,
    is_source: bool,
    /// `None` when it is no part of the root any more.
    relation: Option<TableName>,
    from: String,
    to: String,
}

/// What came or went since the tables of a rollup were remembered.
pub(super) async fn moved(db: &impl Executor, name: &RollupName) -> Result<Vec<Moved>, RollupError> {
    let rows = db.query(include_str!("../../sql/rollup/moved_relations.sql"), &[&name.as_str()]).await?;
    let table =
        |row: &Row, schema: &str, table: &str| TableName { schema: row.get(schema), table: row.get(table) };
    Ok(rows
        .iter()
        .map(|row| Moved {
            root: table(row, "root_schema", "root_table"),
            is_source: row.get("is_source"),
            relation: row.get::<_, bool>("is_here").then(|| table(row, "schema", "table")),
            from: row.get("lo"),
            to: row.get("hi"),
        })
        .collect())
}

/// Marks what came or went.
pub(super) async fn mark(tx: &Tx<'_>, name: &RollupName, moved: &[Moved]) -> Result<(), RollupError> {
    for table in moved {
        tx.query(&render::mark_recounted(name), &[&table.from, &table.to]).await?;
    }
    Ok(())
}

/// Takes the present tables for known. Highwater's own migrations install rollups before there is a place for that; the
/// one that makes it remembers them.
pub(super) async fn remember(tx: &Tx<'_>, name: &RollupName) -> Result<(), RollupError> {
    let has_place = tx.query_one(include_str!("../../sql/rollup/has_relations.sql"), &[]).await?;
    if has_place.get("found") {
        tx.query(include_str!("../../sql/rollup/remember_relations.sql"), &[&name.as_str()]).await?;
    }
    Ok(())
}
