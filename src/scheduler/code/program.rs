//! What an application brings along: rollups, jobs and their handlers; and how the database learns of them.

use std::collections::BTreeSet;

use serde_json::json;
use tracing::{info, warn};

use super::spec::{Handler, JobSpec, Scopes};
use crate::db::{DbError, Executor, Session};
use crate::rollup::definition::Definition;
use crate::rollup::{RollupError, install};
use crate::scheduler::SchedulerError;
use crate::scheduler::job::milliseconds;

/// An application's rollups and jobs. The default one is that of the plain worker: nothing.
#[derive(Debug, Default)]
pub struct Program {
    /// Empty: the plain worker, which registers nothing.
    application: String,
    rollups: Vec<Definition>,
    jobs: Vec<JobSpec>,
}

impl Program {
    /// # Errors
    ///
    /// [`SchedulerError::Invalid`] for a job that makes no sense, and for one named twice.
    pub fn new(
        application: &str,
        rollups: Vec<Definition>,
        jobs: Vec<JobSpec>,
    ) -> Result<Program, SchedulerError> {
        if application.trim().is_empty() {
            return Err(SchedulerError::Invalid("the application needs a name".to_owned()));
        }
        let mut names = BTreeSet::new();
        for job in &jobs {
            job.draft.check()?;
            let invalid =
                |reason: &str| Err(SchedulerError::Invalid(format!("job \"{}\": {reason}", job.name())));
            if !names.insert(job.name()) {
                return invalid("is given twice");
            }
            if let Scopes::Listed(scopes) = &job.scopes
                && (scopes.is_empty() || scopes.iter().collect::<BTreeSet<_>>().len() < scopes.len())
            {
                return invalid("a list of scopes has at least one, and none twice");
            }
        }
        Ok(Program { application: application.to_owned(), rollups, jobs })
    }

    /// What a worker with this program can run of jobs in code, as the column `runner` says it.
    pub fn runners(&self) -> impl Iterator<Item = String> {
        self.jobs.iter().map(|job| format!("code:{}", job.name()))
    }

    pub(super) fn handler(&self, job: &str) -> Option<&Handler> {
        self.jobs.iter().find(|spec| spec.name() == job).map(|spec| &spec.handler)
    }

    /// Installs the rollups that are missing, and brings the jobs in the database to what the code says.
    ///
    /// A job of this application that the code does not have any more is left as it is and told of: while versions of
    /// an application run side by side, the other one may have it.
    ///
    /// # Errors
    ///
    /// [`RollupError::Exists`] for another definition of the same name, [`SchedulerError::JobTaken`], and what the
    /// server says. Then no job was changed.
    pub async fn register(&self, session: &mut Session) -> Result<(), SchedulerError> {
        if self.application.is_empty() {
            return Ok(());
        }
        for definition in &self.rollups {
            ensure(session, definition).await?;
        }
        let tx = session.begin().await?;
        let rows = tx
            .query(
                include_str!("../../../sql/scheduler/job_register.sql"),
                &[&self.application, &serde_json::Value::Array(self.jobs.iter().map(columns).collect())],
            )
            .await?;
        for row in &rows {
            let name: String = row.get("name");
            match row.get("answer") {
                "new" => info!(job = %name, "job {name} is new"),
                "left" => warn!(
                    job = %name,
                    "job {name} of this application is not in its code; if no other version has it, \"highwater job drop {name}\""
                ),
                "taken" => {
                    let owner = match row.get::<_, Option<String>>("application") {
                        Some(application) => format!("application \"{application}\""),
                        None => format!(
                            "a job of kind {}",
                            row.get::<_, Option<&str>>("kind").unwrap_or("foreign")
                        ),
                    };
                    return Err(SchedulerError::JobTaken { name, owner });
                }
                _ => {}
            }
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Installs a definition unless it is there. Unlike an installation by hand this does not renew the capture of one that
/// is there: that would make writers wait at each start of each instance.
async fn ensure(session: &mut Session, definition: &Definition) -> Result<(), SchedulerError> {
    let is_there = async |session: &Session| match install::entry(session, &definition.name).await {
        Ok(entry) => Ok(entry.definition == definition.text),
        Err(RollupError::Unknown { .. }) => Ok(false),
        Err(error) => Err(error),
    };
    if is_there(session).await? {
        return Ok(());
    }
    match install::install_now(session, definition).await {
        Ok(_) => {
            info!(rollup = %definition.name, "installed {}", definition.name);
            Ok(())
        }
        // Another instance that started at the same time was faster.
        Err(RollupError::Db(DbError::Constraint(_) | DbError::Server(_))) if is_there(session).await? => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// A job as `scheduler/job_register` takes it.
fn columns(job: &JobSpec) -> serde_json::Value {
    let draft = &job.draft;
    let (cadence, cron, tz) = draft.when.columns();
    let (scopes, scope_list) = match &job.scopes {
        Scopes::Single => ("single", None),
        Scopes::Rollups => ("rollup", None),
        Scopes::Listed(list) => ("list", Some(list)),
    };
    json!({
        "name": draft.name,
        "cadence_ms": cadence,
        "cron": cron,
        "tz": tz,
        "schedule_delay_ms": milliseconds(draft.schedule_delay),
        "scopes": scopes,
        "scope_list": scope_list,
        "catch_up": draft.catch_up.word(),
        "catch_up_window_ms": milliseconds(draft.catch_up_window),
        "catch_up_cap": draft.catch_up_cap,
        "overlap": if draft.allows_overlap { "allow" } else { "forbid" },
        "timeout_ms": milliseconds(draft.timeout),
        "backoff_ms": milliseconds(draft.backoff),
        "max_attempts": draft.max_attempts,
        "max_crashes": draft.max_crashes,
    })
}
