//! Removing a rollup: nothing of it stays, neither trigger nor function.

use super::error::RollupError;
use super::install::{self, install_capture};
use super::name::RollupName;
use super::render;
use crate::db::{Executor, Session};

/// Drops a rollup with its target, marks, functions and ledger; the capture triggers go with the last rollup over the
/// source. Waits for transactions that are writing to the source.
///
/// # Errors
///
/// [`RollupError::Unknown`]; what the server says when other objects depend on the target.
pub async fn run(session: &mut Session, name: &RollupName) -> Result<(), RollupError> {
    let shape = install::load(session, name).await?;
    let tx = session.begin().await?;
    if tx.query_opt(include_str!("../../sql/rollup/delete.sql"), &[&name.as_str()]).await?.is_none() {
        return Err(RollupError::Unknown { name: name.clone(), known: Vec::new() });
    }
    install_capture(&tx, &shape.source.table, &shape.source.relations).await?;
    tx.batch(&render::drop(&shape)).await?;
    tx.commit().await?;
    Ok(())
}
