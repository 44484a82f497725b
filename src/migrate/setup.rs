//! What a command of `highwater migrate` works with: the database, the files, the hooks.

use std::path::PathBuf;
use std::sync::Arc;

use super::MigrateError;
use super::directory;
use super::engine::RollupEngine;
use super::file::MigrationFile;
use super::hook::{Hook, Registry};
use super::own;
use super::problem::Problem;
use super::require::Rollups;
use super::scope::{HistoryTable, Scope};
use super::statement::Place;
use crate::db::target::Target;

/// Where to, from which files, with which hooks.
pub struct Setup<'a> {
    pub target: &'a Target,
    /// The application's migrations; `None` for highwater's own alone.
    pub dir: Option<PathBuf>,
    /// Where the application's history is.
    pub app_history: HistoryTable,
    /// Runs `require-rollup` and `add-rollup`; without one a migration that asks for them is a bad file.
    pub engine: Option<Arc<dyn RollupEngine>>,
    pub hooks: Registry,
}

/// Files of one scope, by version, and where their history is.
#[derive(Debug, Clone)]
pub struct Migrations {
    pub scope: Scope,
    pub history: HistoryTable,
    pub files: Vec<MigrationFile>,
}

impl<'a> Setup<'a> {
    /// Highwater's own migrations with the rollup engine, without an application's hooks.
    pub fn new(target: &'a Target) -> Setup<'a> {
        Setup {
            target,
            dir: None,
            app_history: HistoryTable::app(),
            engine: Some(Arc::new(Rollups::default())),
            hooks: Registry::default(),
        }
    }

    /// Loads and checks all files: highwater's own first, then the application's.
    ///
    /// # Errors
    ///
    /// [`MigrateError::BadFiles`] with every fault.
    pub fn load(&self) -> Result<Vec<Migrations>, MigrateError> {
        let mut all = Vec::new();
        let mut problems = Vec::new();
        let mut take = |scope, history, loaded: Result<Vec<MigrationFile>, Vec<Problem>>| match loaded {
            Ok(files) => all.push(Migrations { scope, history, files }),
            Err(faults) => problems.extend(faults),
        };
        take(Scope::Own, HistoryTable::own(), own::load());
        if let Some(dir) = &self.dir {
            take(Scope::App, self.app_history.clone(), directory::load(dir));
        }
        for file in all.iter().flat_map(|migrations: &Migrations| &migrations.files) {
            problems.extend(self.unmet(file));
        }
        if problems.is_empty() { Ok(all) } else { Err(MigrateError::BadFiles(problems)) }
    }

    /// What a file asks for and this program does not have.
    fn unmet(&self, file: &MigrationFile) -> Vec<Problem> {
        let head = Place { line: 1, column: 1 };
        let mut problems = Vec::new();
        for name in &file.directives.hooks {
            if self.hooks.get(name).is_none() {
                let fault = format!("hook \"{name}\" is not registered in this program");
                problems.push(Problem::at(&file.path, head, fault));
            }
        }
        let needs_engine = !file.directives.require.is_empty() || !file.definitions.is_empty();
        match &self.engine {
            None if needs_engine => {
                problems.push(Problem::at(
                    &file.path,
                    head,
                    "this program has no rollup engine for its directives",
                ));
            }
            None => {}
            Some(engine) => {
                for definition in &file.definitions {
                    if let Err(fault) = engine.check(&definition.text, &definition.path) {
                        problems.push(Problem::of_file(&definition.path, fault.to_string()));
                    }
                }
            }
        }
        problems
    }

    /// The hooks of a migration, in the order in which they run: required rollups first.
    pub(super) fn hooks_of(&self, file: &MigrationFile) -> Vec<Arc<dyn Hook>> {
        let required = self
            .engine
            .as_ref()
            .filter(|_| !file.directives.require.is_empty())
            .map(|engine| engine.require(&file.directives.require));
        let registered = file.directives.hooks.iter().filter_map(|name| self.hooks.get(name));
        required.into_iter().chain(registered).collect()
    }
}
