//! Where a database stands against the files of one scope: what was applied, what is pending, what differs.

use std::collections::BTreeMap;

use super::MigrateError;
use super::drift::{self, Drift};
use super::file::MigrationFile;
use super::history::{self, History};
use super::ledger::{self, Run};
use super::scope::Scope;
use super::setup::Migrations;
use crate::db::{DbError, Executor};

/// A reading of both tables; it takes no lock and may be old by the time it is used.
#[derive(Debug, Clone)]
pub struct Standing {
    pub history: History,
    pub runs: BTreeMap<i64, Run>,
}

impl Standing {
    /// Reads where the database stands; a database that was never touched stands before the first version.
    pub async fn read(session: &impl Executor, migrations: &Migrations) -> Result<Standing, DbError> {
        Ok(Standing {
            history: history::read(session, &migrations.history).await?,
            runs: ledger::read(session, &migrations.history).await?,
        })
    }

    /// Every difference between files and history.
    ///
    /// # Errors
    ///
    /// [`MigrateError::SchemaNewer`] when highwater's own schema was brought beyond what this build knows.
    pub fn drift(&self, migrations: &Migrations) -> Result<Vec<Drift>, MigrateError> {
        let newest = migrations.files.last().map_or(0, |file| file.version);
        match self.history.newest() {
            Some(schema) if migrations.scope == Scope::Own && schema > newest => {
                Err(MigrateError::SchemaNewer { schema, build: newest })
            }
            _ => Ok(drift::compare(&migrations.files, &self.history, &self.runs)),
        }
    }

    /// Files that are still to be applied, by version.
    pub fn pending<'m>(&self, migrations: &'m Migrations) -> Vec<&'m MigrationFile> {
        migrations.files.iter().filter(|file| !self.history.holds(file.version)).collect()
    }
}
