//! Schedules: when groups of a host should be backed up. Slots begin after a schedule was added or edited: what had been
//! promised before stays promised as it was.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{JobError, slot};
use crate::db::{Executor, Row, Tx};
use crate::ground::cron::Cron;
use crate::ground::wire::config::{Catchup, Overlap};
use crate::ground::wire::id::{GroupId, HostId, ScheduleId};

/// The rules of a schedule, as people give them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub cron: String,
    /// IANA name; `None`: that of the host.
    pub tz: Option<String>,
    pub catchup: Catchup,
    /// Older slots are not made up for.
    pub catchup_window: Duration,
    /// A host that has just woken is left alone for so long.
    pub settle: Duration,
    /// Starts are spread over this span.
    pub jitter: Duration,
    pub overlap: Overlap,
    /// A run that could not start within this is given up.
    pub start_deadline: Option<Duration>,
}

/// What an edit changes; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    pub cron: Option<String>,
    pub tz: Option<String>,
    pub enabled: Option<bool>,
    pub catchup: Option<Catchup>,
    pub catchup_window: Option<Duration>,
    pub settle: Option<Duration>,
    pub jitter: Option<Duration>,
    pub overlap: Option<Overlap>,
    /// `Some(None)` takes the deadline away.
    pub start_deadline: Option<Option<Duration>>,
    /// Ids or names; all of them.
    pub groups: Option<Vec<String>>,
}

/// A host, as schedules need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub id: HostId,
    pub tenant: Uuid,
    pub name: String,
    pub tz: String,
}

/// A schedule with where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub tenant: String,
    #[serde(skip)]
    pub tenant_id: Uuid,
    pub host: String,
    pub host_id: HostId,
    pub groups: Vec<String>,
    #[serde(skip)]
    pub group_ids: Vec<Uuid>,
    pub cron: String,
    pub tz: String,
    /// The expression in words.
    pub description: String,
    pub enabled: bool,
    pub catchup: String,
    pub catchup_window_seconds: i64,
    pub settle_seconds: i64,
    pub jitter_seconds: i64,
    /// By how much its runs begin after their slots.
    pub own_jitter_seconds: f64,
    pub overlap: String,
    pub start_deadline_seconds: Option<i64>,
    pub next_slot_at: Option<DateTime<Utc>>,
    pub last_slot: Option<DateTime<Utc>>,
    pub last_success_slot: Option<DateTime<Utc>>,
    pub last_success_at: Option<DateTime<Utc>>,
    pub consecutive_failures: i32,
    pub backoff_until: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub removed_at: Option<DateTime<Utc>>,
    pub rev: i64,
}

/// Finds a host by id or name.
///
/// # Errors
///
/// [`JobError::UnknownHost`], [`JobError::AmbiguousHost`].
pub async fn host(db: &impl Executor, word: &str, tenant: Option<&str>) -> Result<Host, JobError> {
    let rows =
        db.query(include_str!("../../sql/job/find_host.sql"), &[&word, &tenant.map(str::to_owned)]).await?;
    match rows.as_slice() {
        [] => Err(JobError::UnknownHost { host: word.to_owned() }),
        [row] => Ok(Host {
            id: HostId(row.get("id")),
            tenant: row.get("tenant"),
            name: row.get("name"),
            tz: row.get("tz"),
        }),
        _ => Err(JobError::AmbiguousHost { host: word.to_owned() }),
    }
}

/// Finds a group of a host by id or name.
///
/// # Errors
///
/// [`JobError::UnknownGroup`].
pub async fn group(db: &impl Executor, host: &Host, word: &str) -> Result<GroupId, JobError> {
    let ids = group_ids(db, host, &[word.to_owned()]).await?;
    ids.first()
        .map(|&id| GroupId(id))
        .ok_or_else(|| JobError::UnknownGroup { host: host.name.clone(), group: word.to_owned() })
}

/// Adds a schedule for groups of a host. Its first slot is the first one after now.
///
/// # Errors
///
/// [`JobError::Cron`] for an expression that cannot be read or never fires, [`JobError::UnknownGroup`],
/// [`JobError::Invalid`] without a group.
pub async fn add(
    db: &impl Executor,
    host: &Host,
    groups: &[String],
    rules: &Rules,
) -> Result<ScheduleId, JobError> {
    let cron = Cron::parse(&rules.cron, rules.tz.as_deref().unwrap_or(&host.tz))?;
    agree(&cron, rules.tz.as_deref())?;
    let groups = group_ids(db, host, groups).await?;
    let next = cron.next_after(slot::clock(db).await?);
    let row = db
        .query_one(
            include_str!("../../sql/job/schedule_add.sql"),
            &[
                &host.tenant,
                &host.id.0,
                &groups,
                &cron.text(),
                &cron.zone().name(),
                &rules.catchup.word(),
                &seconds(rules.catchup_window),
                &seconds(rules.settle),
                &seconds(rules.jitter),
                &rules.overlap.word(),
                &rules.start_deadline.map(seconds),
                &next,
            ],
        )
        .await?;
    Ok(ScheduleId(row.get("id")))
}

/// Edits a schedule, which must still be as it was read. Slots that have come are on the ledger by its old rules.
///
/// # Errors
///
/// As [`add`], and [`JobError::EditedMeanwhile`].
pub async fn edit(tx: &Tx<'_>, schedule: &Schedule, edit: &Edit) -> Result<i64, JobError> {
    let text = edit.cron.as_deref().unwrap_or(&schedule.cron);
    let cron = Cron::parse(text, edit.tz.as_deref().unwrap_or(&schedule.tz))?;
    agree(&cron, edit.tz.as_deref())?;
    let host = Host {
        id: schedule.host_id,
        tenant: schedule.tenant_id,
        name: schedule.host.clone(),
        tz: schedule.tz.clone(),
    };
    let groups = match &edit.groups {
        Some(words) => group_ids(tx, &host, words).await?,
        None => schedule.group_ids.clone(),
    };
    let is_enabled = edit.enabled.unwrap_or(schedule.enabled);
    let edited_at = slot::materialise_host(tx, schedule.host_id).await?;
    let next = if is_enabled { cron.next_after(edited_at) } else { None };
    let deadline = match edit.start_deadline {
        Some(deadline) => deadline.map(seconds),
        None => schedule.start_deadline_seconds,
    };
    let catchup = edit.catchup.map_or_else(|| schedule.catchup.clone(), |one| one.word().to_owned());
    let overlap = edit.overlap.map_or_else(|| schedule.overlap.clone(), |one| one.word().to_owned());
    let row = tx
        .query_opt(
            include_str!("../../sql/job/schedule_edit.sql"),
            &[
                &schedule.id.0,
                &cron.text(),
                &cron.zone().name(),
                &is_enabled,
                &catchup,
                &edit.catchup_window.map_or(schedule.catchup_window_seconds, seconds),
                &edit.settle.map_or(schedule.settle_seconds, seconds),
                &edit.jitter.map_or(schedule.jitter_seconds, seconds),
                &overlap,
                &deadline,
                &next,
                &groups,
                &schedule.rev,
            ],
        )
        .await?;
    row.map(|row| row.get("rev"))
        .ok_or_else(|| JobError::EditedMeanwhile { schedule: schedule.id.to_string() })
}

/// Removes a schedule; its history stays, with every slot that has come.
///
/// # Errors
///
/// [`JobError::UnknownSchedule`] for one that is gone already.
pub async fn remove(tx: &Tx<'_>, schedule: &Schedule) -> Result<(), JobError> {
    slot::materialise_host(tx, schedule.host_id).await?;
    let gone = tx
        .query_opt(include_str!("../../sql/job/schedule_remove.sql"), &[&schedule.id.0, &schedule.tenant_id])
        .await?;
    gone.map(|_| ()).ok_or_else(|| JobError::UnknownSchedule { schedule: schedule.id.to_string() })
}

/// Schedules in use, of one host or tenant or of all.
///
/// # Errors
///
/// What the server says.
pub async fn list(
    db: &impl Executor,
    host: Option<&str>,
    tenant: Option<&str>,
) -> Result<Vec<Schedule>, JobError> {
    read(db, host, tenant, None).await
}

/// One schedule by its id, removed or not.
///
/// # Errors
///
/// [`JobError::UnknownSchedule`].
pub async fn find(db: &impl Executor, id: &str, tenant: Option<&str>) -> Result<Schedule, JobError> {
    let found = read(db, None, tenant, Some(id)).await?.pop();
    found.ok_or_else(|| JobError::UnknownSchedule { schedule: id.to_owned() })
}

async fn read(
    db: &impl Executor,
    host: Option<&str>,
    tenant: Option<&str>,
    id: Option<&str>,
) -> Result<Vec<Schedule>, JobError> {
    let owned = |word: Option<&str>| word.map(str::to_owned);
    let statement = include_str!("../../sql/job/schedules.sql");
    let rows = db.query(statement, &[&owned(host), &owned(tenant), &owned(id)]).await?;
    Ok(rows.iter().map(of_row).collect())
}

fn of_row(row: &Row) -> Schedule {
    let (cron, tz): (String, String) = (row.get("cron"), row.get("tz"));
    let description = Cron::parse(&cron, &tz).map_or_else(|error| error.to_string(), |cron| cron.explain());
    Schedule {
        id: ScheduleId(row.get("id")),
        tenant: row.get("tenant"),
        tenant_id: row.get("tenant_id"),
        host: row.get("host"),
        host_id: HostId(row.get("host_id")),
        groups: row.get("groups"),
        group_ids: row.get("group_ids"),
        cron,
        tz,
        description,
        enabled: row.get("enabled"),
        catchup: row.get("catchup"),
        catchup_window_seconds: row.get("catchup_window_seconds"),
        settle_seconds: row.get("settle_seconds"),
        jitter_seconds: row.get("jitter_seconds"),
        own_jitter_seconds: row.get("own_jitter_seconds"),
        overlap: row.get("overlap"),
        start_deadline_seconds: row.get("start_deadline_seconds"),
        next_slot_at: row.get("next_slot_at"),
        last_slot: row.get("last_slot"),
        last_success_slot: row.get("last_success_slot"),
        last_success_at: row.get("last_success_at"),
        consecutive_failures: row.get::<_, Option<i32>>("consecutive_failures").unwrap_or_default(),
        backoff_until: row.get("backoff_until"),
        created_at: row.get("created_at"),
        removed_at: row.get("removed_at"),
        rev: row.get("rev"),
    }
}

/// The groups' ids, in the order in which they were named.
async fn group_ids(db: &impl Executor, host: &Host, words: &[String]) -> Result<Vec<Uuid>, JobError> {
    if words.is_empty() {
        return Err(JobError::Invalid("a schedule needs at least one group".to_owned()));
    }
    let rows =
        db.query(include_str!("../../sql/job/find_groups.sql"), &[&host.id.0, &words.to_vec()]).await?;
    rows.iter()
        .map(|row| {
            row.get::<_, Option<Uuid>>("id")
                .map(|id| GroupId(id).0)
                .ok_or_else(|| JobError::UnknownGroup { host: host.name.clone(), group: row.get("word") })
        })
        .collect()
}

/// A zone in the expression and another one beside it: nobody knows which was meant.
fn agree(cron: &Cron, tz: Option<&str>) -> Result<(), JobError> {
    match tz {
        Some(tz) if tz != cron.zone().name() => Err(JobError::Invalid(format!(
            "the cron expression names the zone {}, and --tz {tz}; leave one of them out",
            cron.zone().name()
        ))),
        _ => Ok(()),
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}
