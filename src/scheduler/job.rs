//! Jobs: what runs, and when. They are rows; the built-in ones come with the schema.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::lease::RunId;
use super::planner::CatchUp;
use super::timing::Timing;
use super::{SchedulerError, call};
use crate::db::{Executor, Row};

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Part of highwater, known by the job's name.
    Builtin,
    /// Calls a function; qualified and quoted.
    Sql { function: String },
    /// Starts a program with its arguments, without a shell.
    Command { words: Vec<String> },
    /// Calls a handler of an application that embeds the worker.
    Code,
}

impl Kind {
    /// The word in the ledger.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Builtin => "builtin",
            Kind::Sql { .. } => "sql",
            Kind::Command { .. } => "command",
            Kind::Code => "code",
        }
    }

    /// Reads the columns `kind`, `function` and `command`.
    pub(super) fn of(row: &Row) -> Result<Kind, SchedulerError> {
        let word: &str = row.get("kind");
        let missing = |what| SchedulerError::UnknownWord { what, word: word.to_owned() };
        match word {
            "builtin" => Ok(Kind::Builtin),
            "code" => Ok(Kind::Code),
            "sql" => {
                let function: Option<String> = row.get("function");
                Ok(Kind::Sql { function: function.ok_or_else(|| missing("kind without a function"))? })
            }
            "command" => {
                let words: Option<Vec<String>> = row.get("command");
                Ok(Kind::Command { words: words.ok_or_else(|| missing("kind without a command"))? })
            }
            _ => Err(missing("kind")),
        }
    }
}

/// When a job's plan times are, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// This far apart, counted from Monday, 2001-01-01 00:00 UTC.
    Every(Duration),
    /// As a cron expression fires in an IANA zone; [`crate::ground::cron`] has the rules for moved clocks.
    Cron { expression: String, zone: String },
}

impl When {
    /// The columns `cadence_ms`, `cron` and `tz`.
    pub(super) fn columns(&self) -> (Option<i64>, Option<String>, Option<String>) {
        match self {
            When::Every(cadence) => (Some(milliseconds(*cadence)), None, None),
            When::Cron { expression, zone } => (None, Some(expression.clone()), Some(zone.clone())),
        }
    }
}

/// A job to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    pub kind: Kind,
    pub when: When,
    pub schedule_delay: Duration,
    pub catch_up: CatchUp,
    pub catch_up_window: Duration,
    pub catch_up_cap: i32,
    pub allows_overlap: bool,
    pub timeout: Duration,
    pub backoff: Duration,
    pub max_attempts: i32,
    pub max_crashes: i32,
}

impl Draft {
    /// A job with the rules that suit most, every so often.
    pub fn new(name: &str, kind: Kind, cadence: Duration) -> Draft {
        Draft::at(name, kind, When::Every(cadence))
    }

    /// A job with the rules that suit most.
    pub fn at(name: &str, kind: Kind, when: When) -> Draft {
        Draft {
            name: name.to_owned(),
            kind,
            when,
            schedule_delay: Duration::ZERO,
            catch_up: CatchUp::Latest,
            catch_up_window: Duration::from_secs(24 * 3600),
            catch_up_cap: 100,
            allows_overlap: false,
            timeout: Duration::from_secs(3600),
            backoff: Duration::from_secs(60),
            max_attempts: 3,
            max_crashes: 3,
        }
    }

    /// # Errors
    ///
    /// [`SchedulerError::Invalid`], in words that name what was asked for.
    pub(super) fn check(&self) -> Result<(), SchedulerError> {
        let name = &self.name;
        let invalid = |reason: &str| Err(SchedulerError::Invalid(format!("job \"{name}\": {reason}")));
        let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
        let goes_on_well = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || "_-".contains(one);
        if !starts_well || !name.chars().all(goes_on_well) || name.len() > 60 {
            return invalid(
                "a name is of lower-case letters, digits, - and _, begins with a letter, and has at most 60 characters",
            );
        }
        match &self.when {
            When::Every(cadence) if *cadence < Duration::from_secs(1) => {
                return invalid("the cadence must be at least a second");
            }
            When::Every(cadence) if !cadence.subsec_nanos().is_multiple_of(1_000_000) => {
                return invalid("the cadence must be whole milliseconds");
            }
            When::Every(_) => {}
            When::Cron { expression, zone } => {
                if let Err(reason) = Timing::read(None, Some(expression), Some(zone)) {
                    return invalid(&reason.to_string());
                }
            }
        }
        if self.timeout.as_millis() == 0 || self.backoff.as_millis() == 0 {
            return invalid("timeout and backoff must be at least a millisecond");
        }
        if !(1..=10_000).contains(&self.catch_up_cap) {
            return invalid("the catch-up cap must be between 1 and 10,000");
        }
        if self.max_attempts < 1 || self.max_crashes < 1 {
            return invalid("at least one attempt and one crash must be allowed");
        }
        Ok(())
    }
}

/// A span as statements take it.
pub(super) fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Adds a job. Its first plan time is the first one after now.
///
/// # Errors
///
/// [`SchedulerError::Invalid`], [`SchedulerError::JobExists`], [`SchedulerError::UnknownFunction`].
pub async fn add(db: &impl Executor, draft: &Draft) -> Result<(), SchedulerError> {
    draft.check()?;
    let (function, words) = match &draft.kind {
        Kind::Builtin => {
            return Err(SchedulerError::Invalid("built-in jobs come with the schema".to_owned()));
        }
        Kind::Code => {
            return Err(SchedulerError::Invalid(
                "jobs in code are registered by their application".to_owned(),
            ));
        }
        Kind::Sql { function } => {
            let statement = include_str!("../../sql/scheduler/resolve_function.sql");
            let found = db.query_one(statement, &[function]).await?;
            if !found.get::<_, bool>("takes_time") && !found.get::<_, bool>("takes_nothing") {
                return Err(SchedulerError::UnknownFunction { function: function.clone() });
            }
            (Some(function.clone()), Vec::new())
        }
        Kind::Command { words } => (None, words.clone()),
    };
    let (cadence, cron, tz) = draft.when.columns();
    let added = db
        .query_opt(
            include_str!("../../sql/scheduler/job_add.sql"),
            &[
                &draft.name,
                &draft.kind.word(),
                &function,
                &words,
                &cadence,
                &milliseconds(draft.schedule_delay),
                &draft.catch_up.word(),
                &milliseconds(draft.catch_up_window),
                &draft.catch_up_cap,
                &if draft.allows_overlap { "allow" } else { "forbid" },
                &milliseconds(draft.timeout),
                &milliseconds(draft.backoff),
                &draft.max_attempts,
                &draft.max_crashes,
                &cron,
                &tz,
            ],
        )
        .await?;
    added.map(|_| ()).ok_or_else(|| SchedulerError::JobExists { name: draft.name.clone() })
}

/// Pauses a job or lets it go on; a job that stands so already stays so.
///
/// # Errors
///
/// [`SchedulerError::UnknownJob`].
pub async fn pause(db: &impl Executor, name: &str, is_paused: bool) -> Result<(), SchedulerError> {
    let statement = include_str!("../../sql/scheduler/job_pause.sql");
    let found = db.query_opt(statement, &[&name, &is_paused]).await?;
    found.map(|_| ()).ok_or_else(|| SchedulerError::UnknownJob { name: name.to_owned() })
}

/// Drops a job with its ledger; runs in hand lose their lease. Returns how many did.
///
/// # Errors
///
/// [`SchedulerError::UnknownJob`], [`SchedulerError::BuiltIn`].
pub async fn drop(db: &impl Executor, name: &str) -> Result<i64, SchedulerError> {
    if kind_and_scopes(db, name).await?.0 == "builtin" {
        return Err(SchedulerError::BuiltIn { name: name.to_owned() });
    }
    let dropped = db.query_opt(include_str!("../../sql/scheduler/job_drop.sql"), &[&name]).await?;
    let dropped = dropped.ok_or_else(|| SchedulerError::UnknownJob { name: name.to_owned() })?;
    Ok(dropped.get("released"))
}

/// Makes a plan for this very moment, in one scope or in all, and calls the workers. Returns what was made.
///
/// # Errors
///
/// [`SchedulerError::UnknownJob`], [`SchedulerError::UnknownScope`].
pub async fn run_now(
    db: &impl Executor,
    name: &str,
    scope: Option<&str>,
) -> Result<Vec<(RunId, String, DateTime<Utc>)>, SchedulerError> {
    kind_and_scopes(db, name).await?;
    let statement = include_str!("../../sql/scheduler/run_now.sql");
    let rows = db.query(statement, &[&name, &scope.map(str::to_owned)]).await?;
    if let (true, Some(scope)) = (rows.is_empty(), scope) {
        return Err(SchedulerError::UnknownScope { job: name.to_owned(), scope: scope.to_owned() });
    }
    call::call(db, call::CHANNEL).await?;
    Ok(rows.iter().map(|row| (RunId(row.get("run_id")), row.get("scope"), row.get("plan_time"))).collect())
}

async fn kind_and_scopes(db: &impl Executor, name: &str) -> Result<(String, String), SchedulerError> {
    let found = db.query_opt(include_str!("../../sql/scheduler/job_kind.sql"), &[&name]).await?;
    let found = found.ok_or_else(|| SchedulerError::UnknownJob { name: name.to_owned() })?;
    Ok((found.get("kind"), found.get("scopes")))
}
