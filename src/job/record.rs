//! Records, for people and programs: listed page by page, pinned, held against what a repository has; and what retention
//! would make of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use uuid::Uuid;

use super::JobError;
use super::backup::tenant_id;
use super::cursor::{Cursor, Page};
use super::host::Found;
use super::name::Named;
use super::retention::{self, Candidate, Decision, Rules};
use super::state::RecordState;
use crate::db::{Executor, Row, Tx};
use crate::ground::wire::id::{GroupId, HostId, JobId, RecordId, RepositoryId};
use crate::ground::wire::work::Prunable;

/// One archive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    pub id: RecordId,
    pub tenant: String,
    pub host: String,
    pub group: Option<String>,
    pub repository: Option<String>,
    /// None: it was found in its repository and adopted.
    pub job: Option<JobId>,
    pub state: RecordState,
    pub pinned: bool,
    pub has_conflict: bool,
    pub snapshot: Option<String>,
    pub bytes_total: Option<i64>,
    pub bytes_added: Option<i64>,
    pub sha256: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// The time by which retention counts it.
    pub kept_at: DateTime<Utc>,
    pub verify_requested_at: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
    pub verify_result: Option<String>,
    pub prune_reason: Option<String>,
    pub rev: i64,
}

/// Which records are listed; a host or a tenant must be named.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub host: Option<HostId>,
    pub group: Option<GroupId>,
    pub tenant: Option<String>,
    pub state: Option<RecordState>,
    pub after: Option<Cursor>,
}

/// What a repository said of one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Good,
    Missing,
    Corrupt,
}

/// How records and a repository's own list agree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Complete records that the repository does not have: now missing.
    pub missing: Vec<RecordId>,
    /// Records that were missing and are there again: now complete.
    pub found: Vec<RecordId>,
    /// Archives that no record knows; nothing is done about them.
    pub unknown: Vec<RecordId>,
    /// Records that are there and known.
    pub agreeing: i64,
}

/// What retention would make of the records of one group in one repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub tenant: String,
    pub host: String,
    pub group: String,
    pub repository: String,
    pub repository_id: Option<RepositoryId>,
    pub zone: String,
    pub rules: Vec<String>,
    pub keep_min: u32,
    pub decisions: Vec<Decision>,
}

/// Records, newest first, at most `most`.
///
/// # Errors
///
/// [`JobError::Invalid`] when neither host nor tenant is named, [`JobError::Unknown`] for the tenant.
pub async fn list(db: &impl Executor, filter: &Filter, most: i32) -> Result<Page<Record>, JobError> {
    let state = filter.state.map(|state| state.word().to_owned());
    let (at, id) = (filter.after.map(|after| after.at), filter.after.map(|after| after.id));
    let one_more = i64::from(most) + 1;
    let rows = match (filter.group, filter.host, &filter.tenant) {
        (Some(group), ..) => {
            let statement = include_str!("../../sql/job/record/of_group.sql");
            db.query(statement, &[&group.0, &state, &at, &id, &one_more]).await?
        }
        (None, Some(host), _) => {
            let statement = include_str!("../../sql/job/record/of_host.sql");
            db.query(statement, &[&host.0, &state, &at, &id, &one_more]).await?
        }
        (None, None, Some(tenant)) => {
            let tenant = tenant_id(db, tenant).await?;
            let statement = include_str!("../../sql/job/record/of_tenant.sql");
            db.query(statement, &[&tenant, &state, &at, &id, &one_more]).await?
        }
        (None, None, None) => {
            return Err(JobError::Invalid("name a host or a tenant: --host or --tenant".to_owned()));
        }
    };
    let records = rows.iter().map(read).collect::<Result<Vec<Record>, JobError>>()?;
    let most = usize::try_from(most).unwrap_or_default();
    Ok(Page::cut(records, most, |record| Cursor { at: record.kept_at, id: record.id.0 }))
}

/// One record.
///
/// # Errors
///
/// [`JobError::Unknown`], also when it belongs to another tenant than the one that is named.
pub async fn show(db: &impl Executor, id: RecordId, tenant: Option<&str>) -> Result<Record, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let statement = include_str!("../../sql/job/record/one.sql");
    let row = db.query_opt(statement, &[&id.0, &tenant_name, &tenant_id]).await?;
    read(&row.ok_or_else(|| unknown(id, tenant))?)
}

/// Pins a record, or lets it go again: a pinned one is kept whatever the rules say.
///
/// # Errors
///
/// [`JobError::Unknown`]; [`JobError::Invalid`] for one that is gone or going.
pub async fn pin(
    db: &impl Executor,
    id: RecordId,
    tenant: Option<&str>,
    is_pinned: bool,
) -> Result<(), JobError> {
    let record = show(db, id, tenant).await?;
    if matches!(record.state, RecordState::Pruning | RecordState::Pruned | RecordState::Failed) {
        return Err(JobError::Invalid(format!(
            "record {id} is {}; there is nothing to be pinned",
            record.state
        )));
    }
    let pinned = db.query_opt(include_str!("../../sql/job/record/pin.sql"), &[&id.0, &is_pinned]).await?;
    // Between the look and the statement it may have begun to go.
    pinned.map(|_| ()).ok_or_else(|| JobError::Invalid(format!("record {id} is being pruned")))
}

/// Asks a record's host to verify it with its next run.
///
/// # Errors
///
/// [`JobError::Unknown`]; [`JobError::Invalid`] for one of which there should be nothing.
pub async fn request_verify(db: &impl Executor, id: RecordId, tenant: Option<&str>) -> Result<(), JobError> {
    let record = show(db, id, tenant).await?;
    if !matches!(record.state, RecordState::Complete | RecordState::Missing | RecordState::Corrupt) {
        return Err(JobError::Invalid(format!(
            "record {id} is {}; there is nothing to verify",
            record.state
        )));
    }
    db.query_one(include_str!("../../sql/job/record/request_verify.sql"), &[&id.0]).await?;
    Ok(())
}

/// Writes down what a verification found.
///
/// # Errors
///
/// [`JobError::Unknown`]; [`JobError::Invalid`] for one of which there should be nothing.
pub async fn verified(
    db: &impl Executor,
    id: RecordId,
    tenant: Option<&str>,
    finding: Finding,
    words: &str,
) -> Result<RecordState, JobError> {
    show(db, id, tenant).await?;
    let state = match finding {
        Finding::Good => RecordState::Complete,
        Finding::Missing => RecordState::Missing,
        Finding::Corrupt => RecordState::Corrupt,
    };
    let statement = include_str!("../../sql/job/record/verified.sql");
    let row = db.query_opt(statement, &[&id.0, &state.word(), &words]).await?;
    row.map(|_| state)
        .ok_or_else(|| JobError::Invalid(format!("record {id} is neither complete, missing nor corrupt")))
}

/// Holds the records of a host in one repository against the repository's own list of archives.
///
/// # Errors
///
/// What the server says.
pub async fn reconcile(
    db: &impl Executor,
    host: &Found,
    repository: &str,
    present: &[RecordId],
) -> Result<Reconciled, JobError> {
    let named = Named::new(repository);
    let statement = include_str!("../../sql/job/record/find_repository.sql");
    let row = db.query_opt(statement, &[&host.tenant, &named.text, &named.id]).await?;
    let repository: Uuid = row
        .ok_or_else(|| JobError::Unknown {
            what: "repository",
            name: repository.to_owned(),
            within: Some(format!("tenant {}", host.tenant_name)),
            list: "groups list",
        })?
        .get("id");
    let ids: Vec<Uuid> = present.iter().map(|id| id.0).collect();
    let rows = db
        .query(include_str!("../../sql/job/record/reconcile.sql"), &[&host.id.0, &repository, &ids])
        .await?;
    let mut found = Reconciled::default();
    for row in &rows {
        let id = RecordId(row.get("id"));
        match row.get("became") {
            "missing" => found.missing.push(id),
            "found" => found.found.push(id),
            "unknown" => found.unknown.push(id),
            _ => found.agreeing += 1,
        }
    }
    Ok(found)
}

/// What retention would make of the complete records of groups that are in use: of one group, one host, one tenant or all.
///
/// # Errors
///
/// [`JobError::Invalid`] for a zone that this build does not know.
pub async fn plans(
    db: &impl Executor,
    tenant: Option<&str>,
    host: Option<HostId>,
    group: Option<GroupId>,
) -> Result<Vec<Plan>, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let statement = include_str!("../../sql/job/record/kept.sql");
    let values = (host.map(|host| host.0), group.map(|group| group.0));
    let rows = db.query(statement, &[&tenant_name, &tenant_id, &values.0, &values.1]).await?;
    let mut groups: BTreeMap<[String; 4], (&Row, Vec<Candidate>)> = BTreeMap::new();
    for row in &rows {
        let key =
            ["tenant_name", "host_name", "group_name", "url"].map(|column| row.get::<_, String>(column));
        groups.entry(key).or_insert_with(|| (row, Vec::new())).1.push(Candidate {
            id: RecordId(row.get("id")),
            at: row.get("kept_at"),
            is_pinned: row.get("pinned"),
        });
    }
    groups
        .into_iter()
        .map(|([tenant, host, group, repository], (row, records))| {
            let zone: String = row.get("tz");
            let tz: Tz = zone.parse().map_err(|_| {
                JobError::Invalid(format!("host {host}: time zone \"{zone}\" is not known to this build"))
            })?;
            let rules = rules(row);
            let decisions = retention::plan(&records, &rules, tz);
            let repository_id = row.get::<_, Option<Uuid>>("repository").map(RepositoryId);
            Ok(Plan {
                tenant,
                host,
                group,
                repository,
                repository_id,
                zone,
                rules: rules.words(),
                keep_min: rules.min,
                decisions,
            })
        })
        .collect()
}

/// Marks what is to go of a group in a repository, by the plan of this moment, and returns it with what was marked before
/// and is still there: for the host, which removes the archives first and reports each removal.
///
/// The group is locked until `tx` ends, so that two who decide at once do not leave too few.
///
/// # Errors
///
/// As [`plans`].
pub async fn begin_pruning(
    tx: &Tx<'_>,
    group: GroupId,
    repository: RepositoryId,
) -> Result<Vec<Prunable>, JobError> {
    tx.query(include_str!("../../sql/job/record/lock_group.sql"), &[&group.0]).await?;
    let plans = plans(tx, None, None, Some(group)).await?;
    let going: Vec<&Decision> = plans
        .iter()
        .filter(|plan| plan.repository_id == Some(repository))
        .flat_map(|plan| plan.decisions.iter().filter(|decision| !decision.stays))
        .collect();
    let ids: Vec<Uuid> = going.iter().map(|decision| decision.id.0).collect();
    let why: Vec<String> = going.iter().map(|decision| decision.rules.join(", ")).collect();
    let statement = include_str!("../../sql/job/record/begin_pruning.sql");
    let rows = tx.query(statement, &[&group.0, &repository.0, &ids, &why]).await?;
    Ok(rows
        .iter()
        .map(|row| Prunable {
            record: RecordId(row.get("id")),
            snapshot: row.get("snapshot"),
            reason: row.get("prune_reason"),
        })
        .collect())
}

fn rules(row: &Row) -> Rules {
    let count = |column: &str| row.get::<_, Option<i32>>(column).and_then(|count| u32::try_from(count).ok());
    Rules {
        last: count("keep_last"),
        hourly: count("keep_hourly"),
        daily: count("keep_daily"),
        weekly: count("keep_weekly"),
        monthly: count("keep_monthly"),
        yearly: count("keep_yearly"),
        min: count("keep_min").unwrap_or(1),
    }
}

fn unknown(id: RecordId, tenant: Option<&str>) -> JobError {
    JobError::Unknown {
        what: "record",
        name: id.to_string(),
        within: tenant.map(|tenant| format!("tenant {tenant}")),
        list: "records list",
    }
}

fn read(row: &Row) -> Result<Record, JobError> {
    let word: &str = row.get("state");
    Ok(Record {
        id: RecordId(row.get("id")),
        tenant: row.get("tenant_name"),
        host: row.get("host_name"),
        group: row.get("group_name"),
        repository: row.get("url"),
        job: row.get::<_, Option<Uuid>>("job").map(JobId),
        state: RecordState::read(word)
            .ok_or_else(|| JobError::UnknownWord { what: "state of a record", word: word.to_owned() })?,
        pinned: row.get("pinned"),
        has_conflict: row.get("has_conflict"),
        snapshot: row.get("snapshot"),
        bytes_total: row.get("bytes_total"),
        bytes_added: row.get("bytes_added"),
        sha256: row.get("sha256"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        kept_at: row.get("kept_at"),
        verify_requested_at: row.get("verify_requested_at"),
        verified_at: row.get("verified_at"),
        verify_result: row.get("verify_result"),
        prune_reason: row.get("prune_reason"),
        rev: row.get("rev"),
    })
}
