//! `migrate status`: every version, applied or pending, and what differs. It takes no lock and writes nothing.

use chrono::{DateTime, Utc};
use serde::Serialize;
use time::OffsetDateTime;

use super::MigrateError;
use super::drift::Drift;
use super::scope::Scope;
use super::setup::{Migrations, Setup};
use super::standing::Standing;
use crate::db::connect::connect;
use crate::ground::exit::Exit;

/// Where a database stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub database: String,
    pub versions: Vec<VersionStatus>,
    pub drift: Vec<Drift>,
}

/// Where one version stands.
#[derive(Debug, Clone, Serialize)]
pub struct VersionStatus {
    pub scope: Scope,
    pub version: i64,
    pub name: String,
    pub state: VersionState,
}

/// Applied, pending, or cut off between a statement outside a transaction and its history row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum VersionState {
    Pending,
    Begun {
        at: DateTime<Utc>,
    },
    /// The duration is unknown where another tool applied it.
    Applied {
        on: DateTime<Utc>,
        duration_ms: Option<i64>,
    },
}

impl Status {
    /// Exit code of `status --check`: drift before pending.
    pub fn check(&self) -> Exit {
        let pending = |version: &VersionStatus| !matches!(version.state, VersionState::Applied { .. });
        if !self.drift.is_empty() {
            Exit::Drift
        } else if self.versions.iter().any(pending) {
            Exit::Pending
        } else {
            Exit::Done
        }
    }
}

/// Reads where the database stands; one that was never touched has every version pending.
///
/// # Errors
///
/// [`MigrateError::BadFiles`], [`MigrateError::SchemaNewer`] or what the database says; drift is part of the status.
pub async fn status(setup: &Setup<'_>) -> Result<Status, MigrateError> {
    let all = setup.load()?;
    let session = connect(setup.target, "migrate").await?;
    let mut status = Status { database: setup.target.to_string(), versions: vec![], drift: vec![] };
    for migrations in &all {
        let standing = Standing::read(&session, migrations).await?;
        status.drift.extend(standing.drift(migrations)?);
        status.versions.extend(versions(migrations, &standing));
    }
    Ok(status)
}

fn versions(migrations: &Migrations, standing: &Standing) -> Vec<VersionStatus> {
    let scope = migrations.scope;
    let applied = standing.history.applied.iter().map(|applied| VersionStatus {
        scope,
        version: applied.version,
        name: applied.name.clone(),
        state: VersionState::Applied {
            on: instant(applied.applied_on),
            duration_ms: standing.runs.get(&applied.version).and_then(|run| run.duration_ms),
        },
    });
    let pending = standing.pending(migrations).into_iter().map(|file| VersionStatus {
        scope,
        version: file.version,
        name: file.name.clone(),
        state: match standing.runs.get(&file.version) {
            Some(run) if run.finished_at.is_none() => VersionState::Begun { at: run.started_at },
            _ => VersionState::Pending,
        },
    });
    let mut versions: Vec<VersionStatus> = applied.chain(pending).collect();
    versions.sort_by_key(|version| version.version);
    versions
}

/// refinery's library speaks of time in one crate, the rest of us in another.
fn instant(time: OffsetDateTime) -> DateTime<Utc> {
    DateTime::from_timestamp(time.unix_timestamp(), time.nanosecond()).unwrap_or_default()
}
