//! `highwater.migration_run`: how each version was run, for what refinery's history has no room for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::file::MigrationFile;
use super::scope::HistoryTable;
use crate::db::{DbError, Executor};

const EXISTS: &str = include_str!("../../sql/migrate/ledger_exists.sql");
const READ: &str = include_str!("../../sql/migrate/ledger_read.sql");
const BEGIN: &str = include_str!("../../sql/migrate/ledger_begin.sql");
const FINISH: &str = include_str!("../../sql/migrate/ledger_finish.sql");
const CLOCK: &str = include_str!("../../sql/migrate/clock.sql");

/// How one version was run.
#[derive(Debug, Clone)]
pub struct Run {
    pub sha256: String,
    pub normalised_sha256: String,
    pub definition_sha256: Vec<String>,
    pub started_at: DateTime<Utc>,
    /// `None`: a statement outside a transaction began and its end was not recorded.
    pub finished_at: Option<DateTime<Utc>>,
    pub duration_ms: Option<i64>,
}

/// Reads the runs of one history; none, where highwater's first migration is still to come.
pub async fn read(session: &impl Executor, table: &HistoryTable) -> Result<BTreeMap<i64, Run>, DbError> {
    if !session.query_one(EXISTS, &[]).await?.try_get::<_, bool>("present")? {
        return Ok(BTreeMap::new());
    }
    let mut runs = BTreeMap::new();
    for row in session.query(READ, &[&table.to_string()]).await? {
        let run = Run {
            sha256: row.try_get("sha256")?,
            normalised_sha256: row.try_get("normalised_sha256")?,
            definition_sha256: row.try_get("definition_sha256")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            duration_ms: row.try_get("duration_ms")?,
        };
        runs.insert(row.try_get("version")?, run);
    }
    Ok(runs)
}

/// The database's clock.
pub async fn now(session: &impl Executor) -> Result<DateTime<Utc>, DbError> {
    Ok(session.query_one(CLOCK, &[]).await?.try_get("now")?)
}

/// Notes that a version's statements are about to run, or have just run in this transaction.
pub async fn begin(
    session: &impl Executor,
    table: &HistoryTable,
    file: &MigrationFile,
) -> Result<(), DbError> {
    let definitions: Vec<String> = file.definitions.iter().map(|definition| definition.sha256()).collect();
    session
        .query(
            BEGIN,
            &[
                &table.to_string(),
                &file.version,
                &file.scope.as_str(),
                &file.name.as_str(),
                &file.sha256(),
                &file.normalised_sha256(),
                &definitions,
                &env!("CARGO_PKG_VERSION"),
            ],
        )
        .await?;
    Ok(())
}

/// Notes the end of what [`begin`] noted, and returns its duration in milliseconds.
///
/// # Errors
///
/// [`DbError::Bug`] when nothing was begun.
pub async fn finish(
    session: &impl Executor,
    table: &HistoryTable,
    version: i64,
    started_at: DateTime<Utc>,
) -> Result<i64, DbError> {
    let row = session.query_one(FINISH, &[&table.to_string(), &version, &started_at]).await?;
    Ok(row.try_get("duration_ms")?)
}
