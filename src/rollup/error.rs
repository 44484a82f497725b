//! What can go wrong with rollups.

use super::lock::Exclusive;
use super::name::RollupName;
use crate::db::{DbError, schema};
use crate::ground::exit::Exit;

/// An error of the rollup wing.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    #[error("definition {origin}: {reason}")]
    Definition { origin: String, reason: String },
    /// The definition is well formed but does not fit the database.
    #[error("rollup \"{name}\": {reason}")]
    Misfit { name: RollupName, reason: String },
    /// The drain would have to read the whole source for every mark.
    #[error(
        "rollup \"{name}\": {table} has no index that begins with {wanted}; create one first:\n  {statement};\nor run \
         \"highwater rollup add\" with --create-index"
    )]
    NoIndex { name: RollupName, table: String, wanted: String, statement: String },
    #[error("rollup \"{name}\" exists already; \"highwater rollup drop {name}\" removes it")]
    Exists { name: RollupName },
    #[error("there is no rollup \"{name}\"{}", list_known(.known))]
    Unknown { name: RollupName, known: Vec<String> },
    #[error("highwater is not installed in this database; run \"highwater migrate up\"")]
    NotInstalled,
    #[error(
        "highwater's schema is at version {found}, this build needs {}; run \"highwater migrate up\"",
        schema::VERSION
    )]
    SchemaTooOld { found: i64 },
    #[error(
        "highwater's schema is at version {found}, this build knows {}; use a newer highwater",
        schema::VERSION
    )]
    SchemaTooNew { found: i64 },
    #[error("another {work} of \"{name}\" is running: {holder}")]
    Busy { work: Exclusive, name: RollupName, holder: String },
    /// A signal came during the wait for another backfill or alter.
    #[error("stopped while waiting for another {work} of \"{name}\": {holder}")]
    Stopped { work: Exclusive, name: RollupName, holder: String },
    /// The rollup that was built beside differs from its source.
    #[error(
        "{rows} rows of \"{next}\" differ from their source, the first is {example}; \"{name}\" stays as it is, \"highwater rollup verify {next} --repair\" makes them right"
    )]
    Unproven { name: RollupName, next: RollupName, rows: i64, example: String },
    #[error(
        "slice {slice} of \"{name}\" failed: {cause}; {complete} slices are complete, \"highwater backfill {name}\" goes on from here"
    )]
    SliceFailed { name: RollupName, slice: String, complete: usize, cause: DbError },
    /// Values of a month came out other than they were when its raw events were pruned.
    #[error(
        "pruning {month} would change {rows} rows of \"{name}\", so that nothing of it was deleted: either the rollup had \
         drifted (\"highwater rollup verify {name}\"), or a measure cannot be merged from parts; correct [combine] or take \
         keep_source out"
    )]
    Unmerged { name: RollupName, month: String, rows: i64 },
    #[error("{0}")]
    Range(String),
    /// The caller's fence said that its lock is gone.
    #[error("the run's lock was lost; stopped before writing more")]
    LockLost,
    #[error(transparent)]
    Db(#[from] DbError),
}

fn list_known(known: &[String]) -> String {
    if known.is_empty() {
        "; none is installed, see \"highwater rollup add --help\"".to_owned()
    } else {
        format!("; installed are {}", known.join(", "))
    }
}

impl RollupError {
    /// The exit code of a command that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            RollupError::Definition { .. }
            | RollupError::Misfit { .. }
            | RollupError::NoIndex { .. }
            | RollupError::Exists { .. }
            | RollupError::Unknown { .. }
            | RollupError::Range(_) => Exit::Usage,
            RollupError::NotInstalled
            | RollupError::SchemaTooOld { .. }
            | RollupError::SchemaTooNew { .. } => Exit::Pending,
            RollupError::Busy { .. } => Exit::LockBusy,
            RollupError::Unproven { .. } => Exit::Drift,
            RollupError::Stopped { .. } => Exit::Interrupted,
            RollupError::LockLost => Exit::LockLost,
            RollupError::Unmerged { .. } => Exit::Drift,
            RollupError::SliceFailed { cause: error, .. } | RollupError::Db(error) => error.exit(),
        }
    }
}

/// What a person typed does not make sense together; said by commands that check it themselves.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);
