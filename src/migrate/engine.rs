//! What the run needs from the rollups, so that this wing knows directives and not definitions.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::directive::Requirement;
use super::hook::Hook;
use super::lock::RunLock;
use crate::db::{Session, Tx};

/// Why something about a rollup could not be done; shown to a person.
pub type RollupFault = Box<dyn std::error::Error + Send + Sync>;

/// Backfills what `require-rollup` asks for, and installs what `add-rollup` brings.
#[async_trait]
pub trait RollupEngine: Send + Sync {
    /// Looks at a definition without a database; its fault is reported with those of the migration files.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    fn check(&self, definition_text: &str, path: &Path) -> Result<(), RollupFault>;

    /// The work that makes these rollups complete and current. It runs before the migration, on connections of its
    /// own; the guard in the migration's transaction does not rely on it.
    fn require(&self, requirements: &[Requirement]) -> Arc<dyn Hook>;

    /// Installs a definition inside the migration's transaction, after the migration's own statements.
    ///
    /// # Errors
    ///
    /// Any error rolls the migration back; one that holds a [`crate::db::DbError`] that may be retried is retried.
    async fn install(&self, tx: &Tx<'_>, definition_text: &str, path: &Path) -> Result<(), RollupFault>;

    /// Brings the rendered functions of every installed rollup to this build's version, each in a transaction of its own
    /// that is committed only while `lock` is held. An engine that renders nothing has nothing to renew.
    ///
    /// # Errors
    ///
    /// The first failure, with the rollup's name; those before it stay renewed.
    async fn renew(
        &self,
        _session: &mut Session,
        _lock: &RunLock,
    ) -> Result<Vec<Renewed>, (String, RollupFault)> {
        Ok(Vec::new())
    }
}

/// A rollup whose functions were renewed, or were left as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    pub rollup: String,
    /// Why it was left.
    pub left: Option<String>,
}
