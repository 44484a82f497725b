//! `migrate plan`: what `up` would do now, from files and reads alone. It takes no lock and writes nothing.

use std::path::PathBuf;

use serde::Serialize;

use super::MigrateError;
use super::ddl::{self, LockLevel, Locks};
use super::directive::Requirement;
use super::drift::Drift;
use super::event::millis;
use super::file::MigrationFile;
use super::goal::Goal;
use super::guard;
use super::hook::{Estimate, Hook};
use super::scope::Scope;
use super::setup::Setup;
use super::standing::Standing;
use crate::db::connect::connect;
use crate::db::{DbError, Executor, Session, Tx};

const SIZE: &str = include_str!("../../sql/migrate/relation_size.sql");

/// Longest headline of a statement.
const HEADLINE: usize = 60;

/// What would happen.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    pub database: String,
    /// Newest applied version of each scope.
    pub applied: Vec<(Scope, Option<i64>)>,
    /// Differences that would stop the run.
    pub drift: Vec<Drift>,
    pub pending: Vec<Planned>,
}

/// One version that would run.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    pub scope: Scope,
    pub version: i64,
    pub name: String,
    pub file: PathBuf,
    pub transaction: bool,
    /// `None` outside a transaction, where no limit is set; zero waits for ever.
    pub lock_timeout_ms: Option<u64>,
    pub lock_retries: u32,
    pub hooks: Vec<PlannedHook>,
    pub guards: Vec<PlannedGuard>,
    pub statements: Vec<PlannedStatement>,
}

/// Work before the version.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedHook {
    pub name: String,
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Why there is no estimate.
    pub fault: Option<String>,
}

/// Whether a guard would let the version pass now, before its hooks.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedGuard {
    pub name: String,
    pub verdict: Verdict,
    pub reason: Option<String>,
}

/// A guard's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Refuse,
    /// It cannot be asked yet: what it rests on is installed by an earlier version.
    Unknown,
}

/// One statement and what it locks.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStatement {
    pub line: usize,
    pub headline: String,
    pub lock: Option<LockLevel>,
    /// Whether the statement was recognised at all.
    pub known: bool,
    pub relation: Option<String>,
    pub size_bytes: Option<i64>,
    pub row_estimate: Option<i64>,
}

/// Plans a run up to `to`.
///
/// # Errors
///
/// [`MigrateError::BadFiles`], [`MigrateError::UnknownVersion`], [`MigrateError::SchemaNewer`] or what the database
/// says; drift is part of the plan.
pub async fn plan(setup: &Setup<'_>, to: Option<i64>) -> Result<Plan, MigrateError> {
    let all = setup.load()?;
    let goal = Goal::choose(&all, to)?;
    let mut session = connect(setup.target, "migrate").await?;
    let mut plan =
        Plan { database: setup.target.to_string(), applied: vec![], drift: vec![], pending: vec![] };
    for migrations in &all {
        let standing = Standing::read(&session, migrations).await?;
        plan.applied.push((migrations.scope, standing.history.newest()));
        plan.drift.extend(standing.drift(migrations)?);
        for file in standing.pending(migrations) {
            if file.version <= goal.last(migrations.scope) {
                plan.pending.push(planned(setup, &mut session, file).await?);
            }
        }
    }
    Ok(plan)
}

async fn planned(
    setup: &Setup<'_>,
    session: &mut Session,
    file: &MigrationFile,
) -> Result<Planned, MigrateError> {
    let mut hooks = Vec::new();
    let mut guards = Vec::new();
    for requirement in &file.directives.require {
        guards.push(asked(session, requirement.rollup.as_str(), Guard::Rollup(requirement)).await?);
    }
    for hook in setup.hooks_of(file) {
        let (estimate, fault) = match hook.estimate(setup.target).await {
            Ok(estimate) => (estimate, None),
            Err(error) => (Estimate::default(), Some(error.to_string())),
        };
        hooks.push(PlannedHook { name: hook.name(), estimate, fault });
        guards.push(asked(session, &hook.name(), Guard::Hook(&*hook)).await?);
    }
    let mut statements = Vec::new();
    for statement in file.statements() {
        let (lock, relation, known) = match ddl::locks(&statement) {
            Locks::Relation { lock, relation } => (Some(lock), Some(relation), true),
            Locks::Nothing => (None, None, true),
            Locks::Unknown => (None, None, false),
        };
        let size = match &relation {
            Some(relation) => session.query_opt(SIZE, &[relation]).await?,
            None => None,
        };
        let number = |column| size.as_ref().map(|row| row.try_get(column)).transpose().map_err(DbError::from);
        statements.push(PlannedStatement {
            line: statement.place(None).line,
            headline: statement.headline(HEADLINE),
            lock,
            known,
            relation,
            size_bytes: number("size_bytes")?,
            row_estimate: number("row_estimate")?,
        });
    }
    let wait = file.directives.lock_wait();
    Ok(Planned {
        scope: file.scope,
        version: file.version,
        name: file.name.clone(),
        file: file.path.clone(),
        transaction: !file.directives.no_transaction,
        lock_timeout_ms: (!file.directives.no_transaction).then(|| millis(wait.timeout)),
        lock_retries: wait.retries,
        hooks,
        guards,
        statements,
    })
}

enum Guard<'a> {
    Rollup(&'a Requirement),
    Hook(&'a dyn Hook),
}

impl Guard<'_> {
    async fn ask(&self, tx: &Tx<'_>) -> Result<(), DbError> {
        match self {
            Guard::Rollup(requirement) => guard::assert_current(tx, requirement).await,
            Guard::Hook(hook) => hook.guard(tx).await,
        }
    }
}

/// Asks a guard in a transaction that is rolled back.
async fn asked(session: &mut Session, name: &str, guard: Guard<'_>) -> Result<PlannedGuard, DbError> {
    let tx = session.begin().await?;
    let answer = guard.ask(&tx).await;
    tx.rollback().await?;
    let (verdict, reason) = match answer {
        Ok(()) => (Verdict::Pass, None),
        Err(DbError::GuardRefused(said)) => (Verdict::Refuse, Some(said.message)),
        Err(error @ DbError::Lost(_)) => return Err(error),
        // 42883: no such function; 3F000: no such schema.
        Err(error) if matches!(error.code(), Some("42883" | "3F000" | "42P01")) => {
            (Verdict::Unknown, Some("highwater's schema is not installed yet".to_owned()))
        }
        Err(error) => (Verdict::Unknown, Some(error.to_string())),
    };
    Ok(PlannedGuard { name: name.to_owned(), verdict, reason })
}
