//! What is read beside the table, `NAME_live` and `NAME_read`: made with its rollup, renewed with it, and taken away with it.

use super::error::RollupError;
use super::render::{live, read};
use super::shape::Shape;
use crate::db::{Executor, Tx};

/// Makes views and function, or makes them anew. The transaction has the definition's search path.
///
/// # Errors
///
/// What the server says, such as a missing right to create temporary tables.
pub(super) async fn install(tx: &Tx<'_>, shape: &Shape) -> Result<(), RollupError> {
    Ok(tx.batch(&text(tx, shape).await?).await?)
}

/// The statements that make them. The database is asked which columns of the source the query reads.
///
/// # Errors
///
/// As [`install`].
pub(super) async fn text(tx: &Tx<'_>, shape: &Shape) -> Result<String, RollupError> {
    let used = used_columns(tx, shape).await?;
    Ok(format!("{}\n{}", live::view(shape, &used), read::function(&live::narrow(shape, &used))))
}

/// Columns of the source that the query reads; empty when it reads whole rows.
///
/// # Errors
///
/// As [`install`].
pub(super) async fn used_columns(tx: &Tx<'_>, shape: &Shape) -> Result<Vec<String>, RollupError> {
    tx.batch(&live::used_columns_probe(shape)).await?;
    let probe = format!("pg_temp.{}", live::USED_COLUMNS_VIEW);
    let rows = tx.query(include_str!("../../sql/rollup/used_columns.sql"), &[&probe]).await?;
    tx.batch(live::USED_COLUMNS_END).await?;
    Ok(rows.iter().map(|row| row.get("name")).collect())
}
