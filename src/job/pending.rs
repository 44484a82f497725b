//! Owed runs: from waiting to a job under a lease in a host's hands.
//!
//! A host asks, and takes turns with itself and with others that write to the same repositories. What it gets must be
//! acknowledged within 30 seconds by a renewal of the lease; what is not is handed out again, as the same job under a
//! higher token, so that no attempt runs twice.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{JobError, hello, record};
use crate::db::{Executor, Row, Session, Tx};
use crate::ground::cron::Cron;
use crate::ground::wire::fire::{Fire, Fired};
use crate::ground::wire::id::{GroupId, HostId, JobId, LeaseToken, RepositoryId, RunId, ScheduleId};
use crate::ground::wire::state::{JobKind, Reason};
use crate::ground::wire::work::{Assignment, Renewed};

/// A dispatch that is not acknowledged within this goes back.
const ANSWER_SECONDS: i64 = 30;

/// How long a lease lasts; it is renewed every third of it.
const LEASE_SECONDS: i64 = 90;

/// A host's clock may see a slot come before the database's does.
const AHEAD_SECONDS: i64 = 60;

/// What a renewal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    Renewed(Renewed),
    /// Another dispatch made the token void: stop.
    Lost,
    /// The job has ended, or never was this host's.
    Gone,
}

/// Hands a host what is due for it and has room. Empty: nothing, now.
///
/// # Errors
///
/// [`JobError::UnknownHost`] for a host that is not there or retired.
pub async fn claim(session: &mut Session, host: HostId) -> Result<Vec<Assignment>, JobError> {
    // The many polls in vain cost one statement and no lock but that of the host's own row.
    if !hello::seen(session, host).await? {
        return Ok(Vec::new());
    }
    let tx = session.begin().await?;
    let locked = tx.query_opt(include_str!("../../sql/job/claim_lock.sql"), &[&host.0]).await?;
    locked.ok_or_else(|| JobError::UnknownHost { host: host.to_string() })?;
    // Later statements, hence younger snapshots than those of whoever held the locks before.
    tx.query(include_str!("../../sql/job/reopen_runs.sql"), &[&host.0]).await?;
    tx.query(include_str!("../../sql/job/choose_runs.sql"), &[&host.0]).await?;
    let given =
        tx.query(include_str!("../../sql/job/dispatch_jobs.sql"), &[&host.0, &ANSWER_SECONDS]).await?;
    let mut assignments = given.iter().map(assignment).collect::<Result<Vec<Assignment>, JobError>>()?;
    // As many as may run on one host at once.
    for assignment in &mut assignments {
        assignment.prune = record::begin_pruning(&tx, assignment.source_group, assignment.repository).await?;
    }
    tx.commit().await?;
    Ok(assignments)
}

fn assignment(row: &Row) -> Result<Assignment, JobError> {
    let word = |column: &str| row.get::<_, Option<String>>(column).unwrap_or_default();
    Ok(Assignment {
        job: JobId(row.get("id")),
        run: row.get::<_, Option<Uuid>>("pending_run").map(RunId),
        kind: JobKind::read(&word("kind")).unwrap_or(JobKind::Backup),
        source_group: GroupId(row.get("source_group")),
        repository: RepositoryId(row.get("repository")),
        schedule: row.get::<_, Option<Uuid>>("schedule").map(ScheduleId),
        slot_at: row.get("slot_at"),
        reason: Reason::read(&word("reason")).unwrap_or(Reason::Manual),
        attempt: u32::try_from(row.get::<_, i32>("attempt")).unwrap_or(1),
        lease_token: LeaseToken(row.get("lease_token")),
        lease_until: row.get("lease_until"),
        prune: Vec::new(),
    })
}

/// Renews the lease of a job; the first time acknowledges its dispatch.
///
/// # Errors
///
/// What the server says.
pub async fn renew(
    db: &impl Executor,
    host: HostId,
    job: JobId,
    token: LeaseToken,
) -> Result<Renewal, JobError> {
    let statement = include_str!("../../sql/job/renew_lease.sql");
    if let Some(row) = db.query_opt(statement, &[&job.0, &host.0, &token.0, &LEASE_SECONDS]).await? {
        return Ok(Renewal::Renewed(Renewed {
            lease_until: row.get("lease_until"),
            cancel: row.get("cancel"),
        }));
    }
    let standing = db.query_opt(include_str!("../../sql/job/lease_standing.sql"), &[&job.0, &host.0]).await?;
    Ok(match standing {
        Some(row) if !row.get::<_, bool>("has_ended") => Renewal::Lost,
        Some(_) | None => Renewal::Gone,
    })
}

/// Takes note of a slot that the host's own cron saw come. Whoever is first, server or host, writes slot and run; the other
/// finds them. The flag says whether the run is new.
///
/// # Errors
///
/// [`JobError::NotASlot`] when the schedule has no such slot, [`JobError::NotOfHost`] when schedule and group are not
/// this host's.
pub async fn fire(tx: &Tx<'_>, host: HostId, fire: &Fire) -> Result<(Fired, bool), JobError> {
    let not_of_host = || JobError::NotOfHost { schedule: fire.schedule.to_string() };
    let rule = tx
        .query_opt(include_str!("../../sql/job/fire_cron.sql"), &[&host.0, &fire.schedule.0])
        .await?
        .ok_or_else(not_of_host)?;
    let cron = Cron::parse(rule.get("cron"), rule.get("tz"))?;
    let ahead: DateTime<Utc> =
        rule.get::<_, DateTime<Utc>>("now") + chrono::TimeDelta::seconds(AHEAD_SECONDS);
    if fire.slot_at > ahead || cron.latest_at_or_before(fire.slot_at) != Some(fire.slot_at) {
        return Err(JobError::NotASlot { schedule: fire.schedule.to_string(), slot_at: fire.slot_at });
    }
    let written = tx
        .query_opt(
            include_str!("../../sql/job/fire.sql"),
            &[&host.0, &fire.schedule.0, &fire.source_group.0, &fire.slot_at],
        )
        .await?
        .ok_or_else(not_of_host)?;
    let run = tx
        .query_one(
            include_str!("../../sql/job/fired.sql"),
            &[&fire.schedule.0, &fire.source_group.0, &fire.slot_at],
        )
        .await?;
    Ok((Fired { run: RunId(run.get("id")), state: run.get("state") }, written.get("is_new")))
}
