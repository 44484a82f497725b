//! Alarms: raised once for one thing, however often it happens; acknowledged by a person; resolved when it is over.
//!
//! What raises an alarm writes it in its own transaction, so that nothing goes wrong without one. Telling somebody is
//! another matter: each raise and each resolution leaves one row for each channel that wants to be told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::JobError;
use super::name::Named;
use super::state::AlarmState;
use crate::db::{Executor, Row};
use crate::ground::wire::id::{HostId, JobId};
use crate::ground::wire::state::words;

words!(
    /// What went wrong.
    Kind {
        Failed = "failed",
        Warned = "warned",
        Missed = "missed",
        OverRpo = "over_rpo",
        Drift = "drift",
        Conflict = "conflict",
        Clock = "clock",
    }
);

/// Something that a person should know.
#[derive(Debug, Clone, Serialize)]
pub struct Draft {
    /// None: whoever runs highwater.
    pub tenant: Option<Uuid>,
    pub host: Option<Uuid>,
    pub source_group: Option<Uuid>,
    pub job: Option<Uuid>,
    pub kind: Kind,
    /// With tenant and kind the key under which it is open once.
    pub subject: String,
    pub message: String,
}

/// What is over.
#[derive(Debug, Clone, Serialize)]
pub struct Over {
    pub tenant: Option<Uuid>,
    pub kind: Kind,
    pub subject: String,
}

/// What a batch of reports has said against itself or against others.
#[derive(Debug, Default)]
pub struct Contradictions {
    /// A report's time lay in the future.
    pub is_clock_wrong: bool,
    /// Jobs, as far as they are named, with what was wrong.
    pub reports: Vec<(Option<JobId>, String)>,
}

/// One alarm, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    pub id: Uuid,
    pub tenant: Option<String>,
    pub host: Option<String>,
    pub group: Option<String>,
    pub job: Option<JobId>,
    pub kind: Kind,
    pub state: AlarmState,
    pub message: String,
    pub times: i64,
    pub raised_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub acknowledged_by: Option<String>,
    pub resolved_at: Option<DateTime<Utc>>,
    /// Tellings that wait or failed.
    pub undelivered: i64,
}

/// Raises alarms; one that is open already counts once more if another job is behind it.
///
/// # Errors
///
/// What the server says.
pub async fn raise(db: &impl Executor, alarms: &[Draft]) -> Result<(), JobError> {
    if !alarms.is_empty() {
        db.query(include_str!("../../sql/job/alarm/raise.sql"), &[&json!(alarms)]).await?;
    }
    Ok(())
}

/// Resolves alarms that are open.
///
/// # Errors
///
/// What the server says.
pub async fn resolve(db: &impl Executor, over: &[Over]) -> Result<(), JobError> {
    if !over.is_empty() {
        db.query(include_str!("../../sql/job/alarm/resolve.sql"), &[&json!(over)]).await?;
    }
    Ok(())
}

/// Raises and resolves what follows from jobs that have changed, and from what contradicts itself. What counts for a
/// group is its newest job, so that a report of an older one that comes late raises nothing.
///
/// # Errors
///
/// What the server says.
pub async fn after_events(
    db: &impl Executor,
    host: HostId,
    tenant: Uuid,
    jobs: &[Uuid],
    contradictions: &Contradictions,
) -> Result<(), JobError> {
    let mut raised = Vec::new();
    if contradictions.is_clock_wrong {
        raised.push(Draft {
            tenant: Some(tenant),
            host: Some(host.0),
            source_group: None,
            job: None,
            kind: Kind::Clock,
            subject: format!("host {host}"),
            message: "the host reports times that lie in the future: its clock is ahead".to_owned(),
        });
    }
    for (job, words) in &contradictions.reports {
        let subject = job.map_or_else(|| format!("host {host}"), |job| format!("job {job}"));
        raised.push(Draft {
            tenant: Some(tenant),
            host: Some(host.0),
            source_group: None,
            job: None,
            kind: Kind::Conflict,
            subject,
            message: words.clone(),
        });
    }
    raise(db, &raised).await?;
    after_jobs(db, jobs).await
}

/// Raises and resolves what follows from jobs that have changed.
///
/// # Errors
///
/// What the server says.
pub async fn after_jobs(db: &impl Executor, jobs: &[Uuid]) -> Result<(), JobError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let rows = db.query(include_str!("../../sql/job/alarm/after_jobs.sql"), &[&jobs.to_vec()]).await?;
    let mut raised = Vec::new();
    let mut over = Vec::new();
    for row in &rows {
        let (tenant, subject): (Uuid, String) = (row.get("tenant"), row.get("subject"));
        let kind = match row.get("state") {
            "succeeded" => None,
            "warned" => Some(Kind::Warned),
            _ => Some(Kind::Failed),
        };
        let ended = |kind| Over { tenant: Some(tenant), kind, subject: subject.clone() };
        match kind {
            None => over.extend([Kind::Failed, Kind::Warned, Kind::Missed].map(ended)),
            Some(Kind::Warned) => over.extend([Kind::Failed, Kind::Missed].map(ended)),
            Some(_) => {}
        }
        if let Some(kind) = kind {
            raised.push(Draft {
                tenant: Some(tenant),
                host: row.get("host"),
                source_group: row.get("source_group"),
                job: row.get("id"),
                kind,
                subject,
                message: row.get("message"),
            });
        }
    }
    raise(db, &raised).await?;
    resolve(db, &over).await
}

/// Raises what is wrong for as long as it lasts (over RPO, missed, drift), and resolves what is over.
///
/// # Errors
///
/// [`JobError::UnknownWord`]; what the server says.
pub async fn standing(db: &impl Executor) -> Result<(usize, usize), JobError> {
    let rows = db.query(include_str!("../../sql/job/alarm/standing.sql"), &[]).await?;
    let (mut raised, mut over) = (Vec::new(), Vec::new());
    for row in &rows {
        let kind = known(Kind::read, row.get("kind"))?;
        let (tenant, subject) = (row.get("tenant"), row.get("subject"));
        if row.get("holds") {
            raised.push(Draft {
                tenant,
                host: row.get("host"),
                source_group: row.get("source_group"),
                job: None,
                kind,
                subject,
                message: row.get("message"),
            });
        } else {
            over.push(Over { tenant, kind, subject });
        }
    }
    raise(db, &raised).await?;
    resolve(db, &over).await?;
    Ok((raised.len(), over.len()))
}

/// Alarms, newest first; open ones only unless `all`.
///
/// # Errors
///
/// [`JobError::UnknownWord`].
pub async fn list(
    db: &impl Executor,
    tenant: Option<&str>,
    all: bool,
    most: i32,
) -> Result<Vec<Alarm>, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let statement = include_str!("../../sql/job/alarm/list.sql");
    let rows = db.query(statement, &[&tenant_name, &tenant_id, &all, &most]).await?;
    rows.iter().map(read).collect()
}

/// Takes notice of an open alarm. Returns whether it was open and unacknowledged.
///
/// # Errors
///
/// [`JobError::Unknown`].
pub async fn acknowledge(
    db: &impl Executor,
    id: Uuid,
    tenant: Option<&str>,
    by: &str,
) -> Result<AlarmState, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let statement = include_str!("../../sql/job/alarm/acknowledge.sql");
    let row = db.query_opt(statement, &[&id, &tenant_name, &tenant_id, &by]).await?;
    let row = row.ok_or_else(|| JobError::Unknown {
        what: "alarm",
        name: id.to_string(),
        within: tenant.map(|tenant| format!("tenant {tenant}")),
        list: "alarms list",
    })?;
    known(AlarmState::read, row.get("state"))
}

fn known<T>(read: impl Fn(&str) -> Option<T>, word: &str) -> Result<T, JobError> {
    read(word).ok_or_else(|| JobError::UnknownWord { what: "word of an alarm", word: word.to_owned() })
}

fn read(row: &Row) -> Result<Alarm, JobError> {
    Ok(Alarm {
        id: row.get("id"),
        tenant: row.get("tenant_name"),
        host: row.get("host_name"),
        group: row.get("group_name"),
        job: row.get::<_, Option<Uuid>>("job").map(JobId),
        kind: known(Kind::read, row.get("kind"))?,
        state: known(AlarmState::read, row.get("state"))?,
        message: row.get("message"),
        times: row.get("times"),
        raised_at: row.get("raised_at"),
        last_at: row.get("last_at"),
        acknowledged_at: row.get("acknowledged_at"),
        acknowledged_by: row.get("acknowledged_by"),
        resolved_at: row.get("resolved_at"),
        undelivered: row.get("undelivered"),
    })
}
