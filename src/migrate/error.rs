//! What can end a run, each with its exit code and its remedy.

use std::path::PathBuf;
use std::time::Duration;

use super::drift::Drift;
use super::problem::Problem;
use super::statement::Place;
use crate::db::DbError;
use crate::ground::exit::Exit;

/// Why a command of `highwater migrate` did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Files that cannot be run, all of them; no database was asked.
    #[error("{} in migration files; nothing was run{}", faults(.0.len()), lines(.0))]
    BadFiles(Vec<Problem>),
    /// `--to` names a version that no file has.
    #[error("no migration has version {version}{}", known(.newest))]
    UnknownVersion { version: i64, newest: Option<i64> },
    /// Files and history differ, in all these ways.
    #[error("migration files differ from what was applied; nothing was run{}", lines(.0))]
    Drift(Vec<Drift>),
    /// The schema was brought further by a newer program.
    #[error(
        "schema is at version {schema}, this build knows {build}; use the build that migrated it, or a newer one"
    )]
    SchemaNewer { schema: i64, build: i64 },
    /// Another run holds the lock.
    #[error("another run holds the migration lock{}: {holder}", after(.waited))]
    LockBusy { holder: String, waited: Duration },
    /// A hook, or its verification, failed.
    #[error("{path}: hook \"{hook}\" failed, its migration was not run and its progress is kept: {reason}", path = .path.display())]
    HookFailed { path: PathBuf, hook: String, reason: String },
    /// A hook ended on purpose before its work was done.
    #[error("{path}: hook \"{hook}\" paused, its migration was not run; the same command goes on from here", path = .path.display())]
    Paused { path: PathBuf, hook: String },
    /// A statement failed, and with it its migration.
    #[error("{path}:{}:{}: {statement}: {source}", .place.line, .place.column, path = .path.display())]
    Statement {
        path: PathBuf,
        place: Place,
        statement: String,
        #[source]
        source: DbError,
    },
    /// The migration's transaction failed outside its statements: at the history row or at the commit.
    #[error("{path}: {attempted}: {source}", path = .path.display())]
    Transaction {
        path: PathBuf,
        attempted: String,
        #[source]
        source: DbError,
    },
    /// A concurrent build met something other than the index it means.
    #[error("{path}: {fault}", path = .path.display())]
    Index { path: PathBuf, fault: String },
    /// A rollup's definition could not be installed, and its migration was rolled back.
    #[error("{path}: cannot be installed: {fault}", path = .path.display())]
    Definition { path: PathBuf, fault: String },
    /// The functions of an installed rollup could not be renewed; what is installed stays, and works as before.
    #[error("cannot renew the functions of rollup \"{rollup}\", which stay as they are: {fault}; run again")]
    Renewal { rollup: String, fault: String },
    /// The connection cannot hold the lock that keeps runs apart.
    #[error("unsafe connection, nothing was touched: {0}")]
    Unsafe(String),
    /// The lock is no longer ours.
    #[error("the migration lock was lost, and the run stopped before writing more; run it again")]
    LockLost,
    /// A guard refused inside the migration's transaction.
    #[error("{path}: guard refused: {source}", path = .path.display())]
    GuardRefused {
        path: PathBuf,
        #[source]
        source: DbError,
    },
    /// SIGINT or SIGTERM.
    #[error("interrupted; what was applied stays applied, and the same command goes on from here")]
    Interrupted,
    /// refinery refused what our own verification let pass.
    #[error("refinery refused: {0}")]
    Refinery(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl MigrateError {
    /// The exit code that scripts can tell this end by.
    pub fn exit(&self) -> Exit {
        match self {
            MigrateError::BadFiles(_) | MigrateError::UnknownVersion { .. } => Exit::Usage,
            MigrateError::Drift(_) => Exit::Drift,
            MigrateError::SchemaNewer { .. } => Exit::Pending,
            MigrateError::LockBusy { .. } => Exit::LockBusy,
            MigrateError::HookFailed { .. } => Exit::HookFailed,
            MigrateError::Paused { .. } => Exit::Paused,
            MigrateError::Statement { .. }
            | MigrateError::Transaction { .. }
            | MigrateError::Index { .. }
            | MigrateError::Renewal { .. }
            | MigrateError::Definition { .. } => Exit::SqlFailed,
            MigrateError::Unsafe(_) => Exit::UnsafeConnection,
            MigrateError::LockLost => Exit::LockLost,
            MigrateError::GuardRefused { .. } => Exit::GuardRefused,
            MigrateError::Interrupted => Exit::Interrupted,
            MigrateError::Refinery(_) => Exit::Unexpected,
            MigrateError::Db(error) => error.exit(),
        }
    }
}

fn faults(count: usize) -> String {
    if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") }
}

fn lines<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

fn known(newest: &Option<i64>) -> String {
    newest.map_or_else(|| "; there are none".to_owned(), |newest| format!("; the newest is {newest}"))
}

fn after(waited: &Duration) -> String {
    match waited.as_secs() {
        0 => String::new(),
        _ => {
            format!(" after {} of waiting", humantime::format_duration(Duration::from_secs(waited.as_secs())))
        }
    }
}
