//! The moment in which the rollup that was built beside takes the other's place: one short transaction.
//!
//! Writers are held back at the source, before they are in the middle of a capture; readers at the old table. Nobody waits
//! for long: a lock that is not to be had at once is given up, and the whole is tried again later. What is left to drain
//! is drained inside, so that the watermark never moves back.

use std::collections::BTreeSet;

use super::definition::Definition;
use super::dependents::Dependents;
use super::error::RollupError;
use super::install::{install_capture, path_of, set_search_path};
use super::name::RollupName;
use super::quote::TableName;
use super::shape::Shape;
use super::{relation, render, renew, watched};
use crate::db::{DbError, Executor, Session, Tx};

/// Shorter than the time after which Postgres looks for a deadlock: it is we who give up, and not a reader.
const SETTINGS: &str =
    "SET LOCAL lock_timeout = '500ms'; SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// With more marks than this left, writers would be held back for too long: they are drained outside first.
const MARKS: i64 = 2_000;

/// How a try went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Swapped {
    Done,
    /// Somebody holds what is needed.
    Held {
        reason: String,
    },
    /// There is more to drain, or a month to fill.
    NotReady,
}

/// Tries once. `file` is the new definition, `next` the rollup that was built by it.
///
/// # Errors
///
/// [`RollupError::Misfit`] when somebody's view does not fit; what the server says.
pub(super) async fn attempt(
    session: &mut Session,
    file: &Definition,
    next: &RollupName,
) -> Result<Swapped, RollupError> {
    let tx = session.begin().await?;
    match within(&tx, file, next).await {
        Ok(Swapped::Done) => {
            tx.commit().await?;
            Ok(Swapped::Done)
        }
        Ok(other) => {
            tx.rollback().await?;
            Ok(other)
        }
        Err(RollupError::Db(error @ (DbError::LockTimeout(_) | DbError::Retry(_)))) => {
            tx.rollback().await?;
            Ok(Swapped::Held { reason: error.to_string() })
        }
        Err(error) => {
            // The first error is the one to tell; a rollback fails only where the connection is gone.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

async fn within(tx: &Tx<'_>, file: &Definition, next: &RollupName) -> Result<Swapped, RollupError> {
    let name = &file.name;
    tx.batch(SETTINGS).await?;
    let old = loaded(tx, name).await?;
    let new = loaded(tx, next).await?;
    // No writer is inside a capture from here on: what that function calls is about to go.
    let watched: BTreeSet<&TableName> =
        old.watched.iter().chain(&new.watched).map(|watched| &watched.table).collect();
    for table in [&old.source.table, &new.source.table].into_iter().chain(watched.iter().copied()) {
        tx.batch(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.quoted())).await?;
    }
    let both = [name.to_string(), next.to_string()].to_vec();
    let slices = tx.query(include_str!("../../sql/rollup/lock_slices.sql"), &[&both]).await?;
    tx.query(include_str!("../../sql/rollup/lock_rollups.sql"), &[&both]).await?;
    let is_pending = |row: &crate::db::Row| {
        row.get::<_, &str>("rollup") == next.as_str() && row.get::<_, &str>("state") != "complete"
    };
    if slices.iter().any(is_pending) || !drained(tx, &new).await? {
        return Ok(Swapped::NotReady);
    }
    // From the outermost view to the table, as a reader locks them: who reads a view waits for nothing that we hold.
    let target = super::shape::target(file);
    let dependents = Dependents::take(tx, &old, &target.quoted()).await?;
    tx.batch(&render::live::drop(name)).await?;
    tx.batch(&render::drop(name, Some(&old.target.quoted()))).await?;
    tx.batch(&render::drop_functions(next)).await?;
    tx.batch(&render::live::drop(next)).await?;
    tx.batch(&render::ledger::swap(file, next, &new.target, &target)).await?;
    set_search_path(tx, &path_of(file)).await?;
    let shape = Shape::installed(tx, file).await?;
    renew::write(tx, &shape, false).await?;
    install_capture(tx, &shape.source.table, &shape.source.relations).await?;
    if old.source.table != shape.source.table {
        install_capture(tx, &old.source.table, &old.source.relations).await?;
    }
    for table in watched {
        watched::install_capture(tx, table).await?;
    }
    relation::remember(tx, name).await?;
    renew::record(tx, &shape).await?;
    dependents.restore(tx, name).await?;
    Ok(Swapped::Done)
}

/// An installed rollup's shape, in the transaction at hand.
async fn loaded(tx: &Tx<'_>, name: &RollupName) -> Result<Shape, RollupError> {
    let entry = super::install::entry(tx, name).await?;
    let definition = Definition::parse(&entry.definition, "in highwater.rollup")?;
    set_search_path(tx, &path_of(&definition)).await?;
    Shape::installed(tx, &definition).await
}

/// Drains what is left, while nobody can write; `false` when that is too much.
async fn drained(tx: &Tx<'_>, next: &Shape) -> Result<bool, RollupError> {
    let marks = tx
        .query_one(
            &render::open_marks(std::iter::once((&next.definition.name, !next.watched.is_empty()))),
            &[],
        )
        .await?;
    if marks.get::<_, i64>("marks") > MARKS {
        return Ok(false);
    }
    loop {
        tx.query(&render::call(&next.definition.name, "expand", ""), &[]).await?;
        let pass = tx.query_one(&render::call(&next.definition.name, "drain", ""), &[]).await?;
        match pass.get::<_, &str>("outcome") {
            "idle" => return Ok(true),
            "drained" | "unexpanded" | "filled" => {}
            _ => return Ok(false),
        }
    }
}
