//! A database of the demonstration's own: whatever else lives on the server is not touched.

use super::DemoError;
use crate::db::target::Target;
use crate::db::{Executor, connect};

/// Its name; one that is left from an earlier demonstration is replaced.
pub const DATABASE: &str = "highwater_demo";

/// Makes the database anew on the server of `target`.
///
/// # Errors
///
/// [`DemoError::Database`], for example without the right to create one.
pub async fn renew(target: &Target) -> Result<Target, DemoError> {
    let session = connect::connect(target, "demo").await?;
    let failed = |source| DemoError::Database { database: DATABASE.to_owned(), source };
    session.batch(&format!("DROP DATABASE IF EXISTS {DATABASE}")).await.map_err(failed)?;
    session.batch(&format!("CREATE DATABASE {DATABASE}")).await.map_err(failed)?;
    Ok(target.with_database(DATABASE))
}
