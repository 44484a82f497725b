//! `migrate verify`: do the files still say what was applied? It takes no lock and writes nothing.

use super::MigrateError;
use super::setup::Setup;
use super::standing::Standing;
use crate::db::connect::connect;

/// Compares files and histories, and returns how many applied versions were compared.
///
/// # Errors
///
/// [`MigrateError::Drift`] with every difference, or as [`super::status::status`].
pub async fn verify(setup: &Setup<'_>) -> Result<usize, MigrateError> {
    let all = setup.load()?;
    let session = connect(setup.target, "migrate").await?;
    let mut drift = Vec::new();
    let mut compared = 0;
    for migrations in &all {
        let standing = Standing::read(&session, migrations).await?;
        drift.extend(standing.drift(migrations)?);
        compared += standing.history.applied.len();
    }
    if drift.is_empty() { Ok(compared) } else { Err(MigrateError::Drift(drift)) }
}
