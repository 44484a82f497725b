//! Hooks: work that runs before a given migration, resumable and outside its transaction.
//!
//! The run owns the order: estimate, run, verify, then in the migration's transaction guard, and after its commit
//! check. A hook owns its slices and keeps what it has done, so that the next run goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::event::{Event, Observer, Progress};
use super::file::MigrationFile;
use super::lock::RunLock;
use crate::db::target::Target;
use crate::db::{DbError, Tx};
use crate::ground::shutdown::Shutdown;

/// Work before a migration.
#[async_trait]
pub trait Hook: Send + Sync {
    /// For people: what stands in the plan and in errors.
    fn name(&self) -> String;

    /// What is left to do. It reads only, and `plan` calls it on databases where nothing is installed yet.
    ///
    /// # Errors
    ///
    /// Shown in the plan; a run goes on without an estimate.
    async fn estimate(&self, target: &Target) -> Result<Estimate, HookError>;

    /// Does what is left. Between slices it calls [`HookContext::still_ours`] and ends when that fails.
    ///
    /// # Errors
    ///
    /// Any error keeps the migration from running.
    async fn run(&self, context: &HookContext<'_>) -> Result<(), HookError>;

    /// Proves that the work is done, after [`Hook::run`] and before the migration.
    ///
    /// # Errors
    ///
    /// As [`Hook::run`].
    async fn verify(&self, _context: &HookContext<'_>) -> Result<(), HookError> {
        Ok(())
    }

    /// Refuses inside the migration's transaction, before its first statement; called again in every attempt, and by
    /// `plan` in a transaction that is rolled back.
    ///
    /// # Errors
    ///
    /// [`DbError::GuardRefused`], or what the server says.
    async fn guard(&self, _tx: &Tx<'_>) -> Result<(), DbError> {
        Ok(())
    }

    /// Looks at the outcome once the migration is committed.
    ///
    /// # Errors
    ///
    /// Ends the run; the migration stays applied.
    async fn check(&self, _context: &HookContext<'_>) -> Result<(), HookError> {
        Ok(())
    }
}

/// What a hook has before it; unknown is `None`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Estimate {
    pub slices_left: Option<u64>,
    pub slices_total: Option<u64>,
    pub rows_left: Option<u64>,
    #[serde(rename = "eta_ms", serialize_with = "as_millis")]
    pub eta: Option<Duration>,
}

fn as_millis<S: serde::Serializer>(eta: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&eta.map(super::event::millis), serializer)
}

/// Why a hook ended without having done its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It was asked to end, and did so between slices.
    #[error("interrupted")]
    Interrupted,
    /// It ended on purpose, such as at its longest duration.
    #[error("paused")]
    Paused,
    /// [`HookContext::still_ours`] failed.
    #[error("the migration lock was lost")]
    LockLost,
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// What a hook works with.
pub struct HookContext<'a> {
    /// The database; a hook opens its own connections.
    pub target: &'a Target,
    pub shutdown: &'a Shutdown,
    pub(super) file: &'a MigrationFile,
    pub(super) hook: String,
    pub(super) lock: &'a RunLock,
    pub(super) observer: &'a dyn Observer,
}

impl HookContext<'_> {
    /// Asks between slices whether work may go on: the run's lock is held, and no one asked for the end.
    ///
    /// # Errors
    ///
    /// [`HookError::LockLost`] or [`HookError::Interrupted`].
    pub async fn still_ours(&self) -> Result<(), HookError> {
        if !self.lock.is_held().await {
            return Err(HookError::LockLost);
        }
        if self.shutdown.is_requested() { Err(HookError::Interrupted) } else { Ok(()) }
    }

    /// Tells how far the work has come.
    pub fn progress(&self, progress: Progress) {
        self.observer.observe(&Event::HookProgress {
            scope: self.file.scope,
            version: self.file.version,
            hook: self.hook.clone(),
            progress,
        });
    }

    /// Tells something that a person should know, such as what the work waits for.
    pub fn note(&self, note: String) {
        self.observer.observe(&Event::HookNote {
            scope: self.file.scope,
            version: self.file.version,
            hook: self.hook.clone(),
            note,
        });
    }

    /// The migration that waits for this hook.
    pub fn version(&self) -> i64 {
        self.file.version
    }
}

/// The hooks that an application registers, by the name that `hook NAME` gives.
#[derive(Clone, Default)]
pub struct Registry {
    hooks: BTreeMap<String, Arc<dyn Hook>>,
}

impl Registry {
    /// Registers a hook under a name; one that was there is replaced.
    #[must_use]
    pub fn with(mut self, name: &str, hook: Arc<dyn Hook>) -> Registry {
        self.hooks.insert(name.to_owned(), hook);
        self
    }

    /// The hook of that name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Hook>> {
        self.hooks.get(name).cloned()
    }
}
