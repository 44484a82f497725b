//! Jobs, for people and programs: listed page by page, shown with their steps and their timeline, cancelled, retried.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::JobError;
use super::cursor::{Cursor, Page};
use super::name::Named;
use super::state::JobState;
use crate::db::{Executor, Row, Session};
use crate::ground::wire::id::{HostId, JobId};
use crate::ground::wire::state::StepState;

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    pub id: JobId,
    pub tenant: String,
    pub host: String,
    /// None until a report says it; so are other fields that are none.
    pub group: Option<String>,
    pub repository: Option<String>,
    pub schedule: Option<Uuid>,
    pub run: Option<Uuid>,
    pub kind: String,
    pub reason: Option<String>,
    pub slot_at: Option<DateTime<Utc>>,
    pub attempt: i32,
    pub retry_of: Option<JobId>,
    pub state: JobState,
    pub outcome: Option<String>,
    pub is_inferred: bool,
    pub has_conflict: bool,
    pub error_class: Option<String>,
    pub error: Option<String>,
    pub opened_at: DateTime<Utc>,
    pub queued_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub reported_at: Option<DateTime<Utc>>,
    pub lease_until: Option<DateTime<Utc>>,
    pub bytes_total: Option<i64>,
    pub bytes_added: Option<i64>,
    pub files: Option<i64>,
    pub progress_bytes: Option<i64>,
    pub progress_total_bytes: Option<i64>,
    pub progress_at: Option<DateTime<Utc>>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub rev: i64,
}

/// One action of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub name: String,
    pub state: StepState,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub log_tail: Option<String>,
}

/// One report of a job's timeline, in the host's own order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub event_id: Uuid,
    pub epoch: i64,
    pub seq: i64,
    pub kind: String,
    pub event_at: DateTime<Utc>,
    /// What the host's clock said.
    pub raw_event_at: DateTime<Utc>,
    pub is_clamped: bool,
    pub received_at: DateTime<Utc>,
    pub is_conflict: bool,
    pub payload: serde_json::Value,
}

/// A job with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Whole {
    #[serde(flatten)]
    pub job: Job,
    pub steps: Vec<Step>,
    pub timeline: Vec<Report>,
}

/// Which jobs are listed; all fields narrow.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// None: all states.
    pub state: Option<JobState>,
    pub host: Option<HostId>,
    /// Name or id.
    pub tenant: Option<String>,
    /// First heard of at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// After this row.
    pub after: Option<Cursor>,
}

/// What became of a wish to end a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    /// No host had it yet: it is over.
    Ended,
    /// Its host will hear of it with its next renewal.
    Requested,
    /// It had ended by itself.
    WasOver,
}

/// Most reports of a timeline that are shown.
const TIMELINE: i32 = 1_000;

/// Jobs, newest first, at most `most`: merged from one index range for each state, whatever the history.
///
/// # Errors
///
/// [`JobError::Unknown`] for the tenant, [`JobError::UnknownWord`].
pub async fn list(db: &impl Executor, filter: &Filter, most: i32) -> Result<Page<Job>, JobError> {
    let states = match filter.state {
        Some(state) => vec![state.word().to_owned()],
        None => JobState::ALL.iter().map(|state| state.word().to_owned()).collect(),
    };
    let one_more = i64::from(most) + 1;
    let (at, id) = (filter.after.map(|after| after.at), filter.after.map(|after| after.id));
    let rows = match (filter.host, &filter.tenant) {
        (Some(host), _) => {
            let statement = include_str!("../../sql/job/jobs_of_host.sql");
            db.query(statement, &[&states, &filter.since, &at, &id, &one_more, &host.0]).await?
        }
        (None, Some(tenant)) => {
            let tenant = tenant_id(db, tenant).await?;
            let statement = include_str!("../../sql/job/jobs_of_tenant.sql");
            db.query(statement, &[&states, &filter.since, &at, &id, &one_more, &tenant]).await?
        }
        (None, None) => {
            let statement = include_str!("../../sql/job/jobs.sql");
            db.query(statement, &[&states, &filter.since, &at, &id, &one_more]).await?
        }
    };
    let jobs = rows.iter().map(read).collect::<Result<Vec<Job>, JobError>>()?;
    let most = usize::try_from(most).unwrap_or_default();
    Ok(Page::cut(jobs, most, |job| Cursor { at: job.opened_at, id: job.id.0 }))
}

/// One job with its steps and its timeline.
///
/// # Errors
///
/// [`JobError::Unknown`], also when it belongs to another tenant than the one that is named.
pub async fn show(db: &impl Executor, id: JobId, tenant: Option<&str>) -> Result<Whole, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let row = db.query_opt(include_str!("../../sql/job/job.sql"), &[&id.0, &tenant_name, &tenant_id]).await?;
    let job = read(&row.ok_or_else(|| unknown(id, tenant))?)?;
    let steps = db.query(include_str!("../../sql/job/steps.sql"), &[&id.0]).await?;
    let timeline = db.query(include_str!("../../sql/job/timeline.sql"), &[&id.0, &TIMELINE]).await?;
    Ok(Whole {
        job,
        steps: steps.iter().map(read_step).collect::<Result<_, JobError>>()?,
        timeline: timeline.iter().map(read_report).collect(),
    })
}

/// Asks that a job end; one that no host has yet ends at once. Cancelling twice is cancelling once.
///
/// # Errors
///
/// [`JobError::Unknown`].
pub async fn cancel(db: &impl Executor, id: JobId, tenant: Option<&str>) -> Result<Cancelled, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let statement = include_str!("../../sql/job/cancel.sql");
    let row = db.query_opt(statement, &[&id.0, &tenant_name, &tenant_id]).await?;
    match row.ok_or_else(|| unknown(id, tenant))?.get("became") {
        "ended" => Ok(Cancelled::Ended),
        "requested" => Ok(Cancelled::Requested),
        _ => Ok(Cancelled::WasOver),
    }
}

/// Makes the next attempt of a job that has ended without a backup; a new row, since no end is ever changed.
///
/// # Errors
///
/// [`JobError::Unknown`]; [`JobError::Invalid`] for a job that is open, that left a backup, whose group is not known or
/// gone, or that has been tried again already.
pub async fn retry(session: &mut Session, id: JobId, tenant: Option<&str>) -> Result<JobId, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let tx = session.begin().await?;
    let statement = include_str!("../../sql/job/lock_job.sql");
    let row = tx.query_opt(statement, &[&id.0, &tenant_name, &tenant_id]).await?;
    let row = row.ok_or_else(|| unknown(id, tenant))?;
    let invalid = |reason: String| Err(JobError::Invalid(format!("job {id} {reason}")));
    let state = known_state(&row)?;
    if !state.is_final() {
        return invalid(format!("is {state}; \"highwater jobs cancel {id}\" ends it first"));
    }
    if matches!(state, JobState::Succeeded | JobState::Warned) {
        return invalid(format!("has {state}: there is nothing to try again"));
    }
    if !row.get::<_, bool>("has_group") {
        return invalid("has no group in use on a host in use; there is nothing that could run".to_owned());
    }
    if let Some(successor) = row.get::<_, Option<Uuid>>("successor") {
        return invalid(format!("has been tried again already: {successor}"));
    }
    let fresh = JobId::fresh();
    let made = tx.query(include_str!("../../sql/job/retry.sql"), &[&id.0, &fresh.0, &Uuid::now_v7()]).await?;
    if made.is_empty() {
        return invalid("has a later attempt already; see \"highwater jobs list\"".to_owned());
    }
    tx.commit().await?;
    Ok(fresh)
}

/// The id of a tenant that was named.
pub(super) async fn tenant_id(db: &impl Executor, tenant: &str) -> Result<Uuid, JobError> {
    let named = Named::new(tenant);
    let row = db.query_opt(include_str!("../../sql/job/find_tenant.sql"), &[&named.text, &named.id]).await?;
    row.map(|row| row.get("id")).ok_or_else(|| JobError::Unknown {
        what: "tenant",
        name: tenant.to_owned(),
        within: None,
        list: "hosts list",
    })
}

fn unknown(id: JobId, tenant: Option<&str>) -> JobError {
    JobError::Unknown {
        what: "job",
        name: id.to_string(),
        within: tenant.map(|tenant| format!("tenant {tenant}")),
        list: "jobs list",
    }
}

fn known_state(row: &Row) -> Result<JobState, JobError> {
    let word: &str = row.get("state");
    JobState::read(word)
        .ok_or_else(|| JobError::UnknownWord { what: "state of a job", word: word.to_owned() })
}

fn read(row: &Row) -> Result<Job, JobError> {
    Ok(Job {
        id: JobId(row.get("id")),
        tenant: row.get("tenant_name"),
        host: row.get("host_name"),
        group: row.get("group_name"),
        repository: row.get("url"),
        schedule: row.get("schedule"),
        run: row.get("pending_run"),
        kind: row.get("kind"),
        reason: row.get("reason"),
        slot_at: row.get("slot_at"),
        attempt: row.get("attempt"),
        retry_of: row.get::<_, Option<Uuid>>("retry_of").map(JobId),
        state: known_state(row)?,
        outcome: row.get("outcome"),
        is_inferred: row.get("is_inferred"),
        has_conflict: row.get("has_conflict"),
        error_class: row.get("error_class"),
        error: row.get("error"),
        opened_at: row.get("opened_at"),
        queued_at: row.get("queued_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        reported_at: row.get("reported_at"),
        lease_until: row.get("lease_until"),
        bytes_total: row.get("bytes_total"),
        bytes_added: row.get("bytes_added"),
        files: row.get("files"),
        progress_bytes: row.get("progress_bytes"),
        progress_total_bytes: row.get("progress_total_bytes"),
        progress_at: row.get("progress_at"),
        cancel_requested_at: row.get("cancel_requested_at"),
        rev: row.get("rev"),
    })
}

fn read_step(row: &Row) -> Result<Step, JobError> {
    let word: &str = row.get("state");
    Ok(Step {
        name: row.get("name"),
        state: StepState::read(word)
            .ok_or_else(|| JobError::UnknownWord { what: "state of a step", word: word.to_owned() })?,
        exit_code: row.get("exit_code"),
        reason: row.get("reason"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        log_tail: row.get("log_tail"),
    })
}

fn read_report(row: &Row) -> Report {
    Report {
        event_id: row.get("event_id"),
        epoch: row.get("epoch"),
        seq: row.get("seq"),
        kind: row.get("kind"),
        event_at: row.get("event_at"),
        raw_event_at: row.get("raw_event_at"),
        is_clamped: row.get("is_clamped"),
        received_at: row.get("received_at"),
        is_conflict: row.get("is_conflict"),
        payload: row.get("payload"),
    }
}
