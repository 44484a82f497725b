//! What a batch meets: the rows that its reports speak of, read and locked before anything is merged.

use std::collections::HashMap;

use uuid::Uuid;

use super::job::Job;
use super::record::Record;
use super::stamp::Stamp;
use super::step::Step;
use crate::db::{Executor, Row};
use crate::ground::wire::id::{EventId, HostId, JobId, RecordId};
use crate::ground::wire::state::{Reason, StepState};
use crate::job::JobError;
use crate::job::state::{JobState, RecordState};

/// A job, and whose it is.
pub struct Known {
    pub host: HostId,
    pub job: Job,
}

/// A report that is there already under the same id or at the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub event_id: EventId,
    pub epoch: i64,
    pub seq: i64,
    pub body_sha256: Vec<u8>,
}

/// Reads and locks jobs, in the order of their ids.
pub(super) async fn jobs(db: &impl Executor, ids: Vec<Uuid>) -> Result<HashMap<JobId, Known>, JobError> {
    let rows = db.query(include_str!("../../../sql/job/event/lock_jobs.sql"), &[&ids]).await?;
    rows.iter()
        .map(|row| {
            let job = read_job(row)?;
            Ok((job.id, Known { host: HostId(row.get("host")), job }))
        })
        .collect()
}

/// Reads steps by job and name.
pub(super) async fn steps(
    db: &impl Executor,
    jobs: Vec<Uuid>,
    names: Vec<String>,
) -> Result<HashMap<(JobId, String), Step>, JobError> {
    let rows = db.query(include_str!("../../../sql/job/event/steps.sql"), &[&jobs, &names]).await?;
    rows.iter()
        .map(|row| {
            let step = read_step(row)?;
            Ok(((step.job, step.name.clone()), step))
        })
        .collect()
}

/// Reads the records of jobs, and those of other jobs whose ids are named.
pub(super) async fn records(
    db: &impl Executor,
    jobs: Vec<Uuid>,
    ids: Vec<Uuid>,
) -> Result<Vec<Record>, JobError> {
    let rows = db.query(include_str!("../../../sql/job/event/records.sql"), &[&jobs, &ids]).await?;
    rows.iter().map(read_record).collect()
}

/// Reads reports of a host that have one of these ids or places.
pub(super) async fn events(
    db: &impl Executor,
    host: HostId,
    ids: Vec<Uuid>,
    epochs: Vec<i64>,
    seqs: Vec<i64>,
) -> Result<Vec<Kept>, JobError> {
    let statement = include_str!("../../../sql/job/event/kept.sql");
    let rows = db.query(statement, &[&host.0, &ids, &epochs, &seqs]).await?;
    Ok(rows
        .iter()
        .map(|row| Kept {
            event_id: EventId(row.get("event_id")),
            epoch: row.get("epoch"),
            seq: row.get("seq"),
            body_sha256: row.get("body_sha256"),
        })
        .collect())
}

fn word<T>(
    what: &'static str,
    row: &Row,
    column: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, JobError> {
    let word: &str = row.get(column);
    read(word).ok_or_else(|| JobError::UnknownWord { what, word: word.to_owned() })
}

fn read_job(row: &Row) -> Result<Job, JobError> {
    let reason: Option<&str> = row.get("reason");
    let progress_by: Option<Vec<i64>> = row.get("progress_by");
    Ok(Job {
        id: JobId(row.get("id")),
        source_group: row.get("source_group"),
        repository: row.get("repository"),
        schedule: row.get("schedule"),
        slot_at: row.get("slot_at"),
        reason: reason.and_then(Reason::read),
        attempt: row.get("attempt"),
        state: word("state of a job", row, "state", JobState::read)?,
        is_inferred: row.get("is_inferred"),
        has_conflict: row.get("has_conflict"),
        error_class: row.get("error_class"),
        error: row.get("error"),
        opened_at: row.get("opened_at"),
        queued_at: row.get("queued_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        reported_at: row.get("reported_at"),
        bytes_total: row.get("bytes_total"),
        bytes_added: row.get("bytes_added"),
        files: row.get("files"),
        progress_bytes: row.get("progress_bytes"),
        progress_total_bytes: row.get("progress_total_bytes"),
        progress_files: row.get("progress_files"),
        progress_at: row.get("progress_at"),
        opened_by: Stamp::of_column(row.get("opened_by")),
        started_by: Stamp::of_column(row.get("started_by")),
        progress_by: progress_by.and_then(|by| by.try_into().ok()),
        ended_by: Stamp::of_column(row.get("ended_by")),
        is_ours: row.get("is_ours"),
    })
}

fn read_step(row: &Row) -> Result<Step, JobError> {
    Ok(Step {
        job: JobId(row.get("job")),
        name: row.get("name"),
        action: row.get("action"),
        state: word("state of a step", row, "state", StepState::read)?,
        exit_code: row.get("exit_code"),
        reason: row.get("reason"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        log_tail: row.get("log_tail"),
        started_by: Stamp::of_column(row.get("started_by")),
        ended_by: Stamp::of_column(row.get("ended_by")),
    })
}

fn read_record(row: &Row) -> Result<Record, JobError> {
    // A record that was adopted without a job is matched by its id alone.
    let job: Option<Uuid> = row.get("job");
    Ok(Record {
        id: RecordId(row.get("id")),
        job: JobId(job.unwrap_or_else(Uuid::nil)),
        repository: row.get("repository"),
        source_group: row.get("source_group"),
        state: word("state of a record", row, "state", RecordState::read)?,
        has_conflict: row.get("has_conflict"),
        snapshot: row.get("snapshot"),
        bytes_total: row.get("bytes_total"),
        bytes_added: row.get("bytes_added"),
        sha256: row.get("sha256"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        started_by: Stamp::of_column(row.get("started_by")),
        ended_by: Stamp::of_column(row.get("ended_by")),
    })
}
