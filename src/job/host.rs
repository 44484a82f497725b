//! Hosts: added, shown, edited, retired; and the tokens by which their agents are known.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::JobError;
use super::name::{self, Named};
use super::secret::Secret;
use super::slot;
use super::state::HostState;
use crate::db::{Executor, Row, Session, Tx};
use crate::ground::wire::config::Mode;
use crate::ground::wire::id::HostId;

/// How long an enrolment code is good.
pub const CODE_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A host to be added.
#[derive(Debug, Clone)]
pub struct Draft {
    pub tenant: String,
    pub name: String,
    pub mode: Mode,
    /// IANA name.
    pub tz: String,
    pub max_concurrent: i32,
    pub rpo: Option<Duration>,
}

/// What is to be different about a host; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    pub mode: Option<Mode>,
    pub tz: Option<String>,
    pub max_concurrent: Option<i32>,
    /// `Some(None)` takes it away.
    pub rpo: Option<Option<Duration>>,
}

/// A host that was found by what someone wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: HostId,
    pub tenant: Uuid,
    pub tenant_name: String,
    pub name: String,
}

/// One host, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    pub id: HostId,
    pub tenant: String,
    pub name: String,
    pub mode: Mode,
    pub tz: String,
    pub state: HostState,
    /// As people should read the state: an intermittent host that is offline is asleep.
    pub shown_as: &'static str,
    pub max_concurrent: i32,
    pub rpo_seconds: Option<i64>,
    pub last_hello_at: Option<DateTime<Utc>>,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub skew_ms: Option<i64>,
    pub outbox_pending: Option<i64>,
    pub groups: i64,
    pub last_success_at: Option<DateTime<Utc>>,
    pub next_slot_at: Option<DateTime<Utc>>,
    /// Slots missed in the last 30 days.
    pub missed: i64,
    pub rev: i64,
}

/// Adds a host with an enrolment code; makes a tenant that is not known yet. Returns the host's id and the code.
///
/// # Errors
///
/// [`JobError::Invalid`] for a bad name or zone, [`JobError::Exists`].
pub async fn add(session: &mut Session, draft: &Draft) -> Result<(HostId, String), JobError> {
    name::check("tenant", &draft.tenant)?;
    name::check("host", &draft.name)?;
    check_numbers(Some(draft.max_concurrent), draft.rpo)?;
    let code = Secret::code();
    let id = HostId::fresh();
    let tx = session.begin().await?;
    check_zone(&tx, &draft.tz).await?;
    let tenant = tx
        .query_one(include_str!("../../sql/job/tenant_add.sql"), &[&Uuid::now_v7(), &draft.tenant])
        .await?
        .get::<_, Uuid>("id");
    let added = tx
        .query_opt(
            include_str!("../../sql/job/host_add.sql"),
            &[
                &id.0,
                &tenant,
                &draft.name,
                &draft.mode.word(),
                &draft.tz,
                &draft.max_concurrent,
                &draft.rpo.map(millis),
            ],
        )
        .await?;
    if added.is_none() {
        return Err(JobError::Exists {
            what: "host",
            name: draft.name.clone(),
            within: Some(format!("tenant {}", draft.tenant)),
            remedy: "\"highwater hosts edit\" changes it; the name of a retired host stays its own"
                .to_owned(),
        });
    }
    tx.query(include_str!("../../sql/job/enrolment_add.sql"), &[&code.sha256, &id.0, &millis(CODE_LIFE)])
        .await?;
    tx.commit().await?;
    Ok((id, code.text))
}

/// Finds a host by id or name; a tenant may be named too.
///
/// # Errors
///
/// [`JobError::Unknown`], [`JobError::Ambiguous`] with the tenants that have one of that name.
pub async fn find(db: &impl Executor, host: &str, tenant: Option<&str>) -> Result<Found, JobError> {
    let (named, within) = (Named::new(host), tenant.map(Named::new));
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let rows = db
        .query(
            include_str!("../../sql/job/hosts_named.sql"),
            &[&named.text, &named.id, &tenant_name, &tenant_id],
        )
        .await?;
    let mut found: Vec<Found> = rows
        .iter()
        .map(|row| Found {
            id: HostId(row.get("id")),
            tenant: row.get("tenant"),
            tenant_name: row.get("tenant_name"),
            name: row.get("name"),
        })
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(JobError::Unknown {
            what: "host",
            name: host.to_owned(),
            within: tenant.map(|tenant| format!("tenant {tenant}")),
            list: "hosts list",
        }),
        (Some(one), false) => {
            found.push(one);
            Err(JobError::Ambiguous {
                what: "host",
                name: host.to_owned(),
                candidates: found
                    .iter()
                    .map(|one| format!("{} of tenant {}", one.id, one.tenant_name))
                    .collect(),
                remedy: "add --tenant",
            })
        }
    }
}

/// Hosts by tenant and name; those of one tenant, or one host, if asked for. Retired ones are left out of lists.
///
/// # Errors
///
/// [`JobError::UnknownWord`].
pub async fn list(
    db: &impl Executor,
    tenant: Option<&str>,
    host: Option<HostId>,
    most: i32,
) -> Result<Vec<Host>, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let rows = db
        .query(
            include_str!("../../sql/job/hosts.sql"),
            &[&tenant_name, &tenant_id, &host.map(|host| host.0), &most],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Changes a host.
///
/// # Errors
///
/// [`JobError::Invalid`]; [`JobError::Changed`] when it is no longer at the revision `rev`.
pub async fn edit(db: &impl Executor, host: &Found, edit: &Edit, rev: Option<i64>) -> Result<i64, JobError> {
    check_numbers(edit.max_concurrent, edit.rpo.flatten())?;
    if let Some(tz) = &edit.tz {
        check_zone(db, tz).await?;
    }
    let row = db
        .query_one(
            include_str!("../../sql/job/host_edit.sql"),
            &[
                &host.id.0,
                &edit.mode.map(|mode| mode.word().to_owned()),
                &edit.tz,
                &edit.max_concurrent,
                &edit.rpo.flatten().map(millis),
                &(edit.rpo == Some(None)),
                &rev,
            ],
        )
        .await?;
    changed("host", &host.name, rev, &row)
}

/// Retires a host: its history stays, its tokens and codes are void, and its schedules make no more slots.
///
/// # Errors
///
/// What the server says.
pub async fn remove(tx: &Tx<'_>, host: &Found) -> Result<(), JobError> {
    slot::materialise_host(tx, host.id).await?;
    tx.query_one(include_str!("../../sql/job/host_remove.sql"), &[&host.id.0]).await?;
    Ok(())
}

/// Makes a token for a host's agent, and takes all others back if asked to. It is shown once.
///
/// # Errors
///
/// What the server says.
pub async fn token(
    db: &impl Executor,
    host: &Found,
    life: Option<Duration>,
    revokes_others: bool,
) -> Result<String, JobError> {
    let token = Secret::token();
    let statement = include_str!("../../sql/job/token_add.sql");
    db.query_one(statement, &[&token.sha256, &host.id.0, &life.map(millis), &revokes_others]).await?;
    Ok(token.text)
}

/// Makes a new enrolment code; older ones that were not used are void.
///
/// # Errors
///
/// What the server says.
pub async fn code(db: &impl Executor, host: &Found) -> Result<String, JobError> {
    let code = Secret::code();
    let statement = include_str!("../../sql/job/enrolment_add.sql");
    db.query_one(statement, &[&code.sha256, &host.id.0, &millis(CODE_LIFE)]).await?;
    Ok(code.text)
}

/// Checks that Postgres knows a zone by its IANA name.
///
/// # Errors
///
/// [`JobError::Invalid`].
pub async fn check_zone(db: &impl Executor, tz: &str) -> Result<(), JobError> {
    let row = db.query_one(include_str!("../../sql/job/is_zone.sql"), &[&tz]).await?;
    if row.get("known") {
        return Ok(());
    }
    Err(JobError::Invalid(format!(
        "\"{tz}\" is no time zone; IANA names such as Europe/Berlin or UTC are expected"
    )))
}

/// The revision after a change, if the row was at the wanted one.
pub(super) fn changed(
    what: &'static str,
    name: &str,
    wanted: Option<i64>,
    row: &Row,
) -> Result<i64, JobError> {
    match (row.get::<_, bool>("is_changed"), wanted) {
        (true, _) => Ok(row.get("rev")),
        (false, wanted) => Err(JobError::Changed {
            what,
            name: name.to_owned(),
            wanted: wanted.unwrap_or_default(),
            found: row.get("rev"),
        }),
    }
}

/// A span as the statements take it.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn check_numbers(max_concurrent: Option<i32>, rpo: Option<Duration>) -> Result<(), JobError> {
    if max_concurrent.is_some_and(|most| most < 1) {
        return Err(JobError::Invalid("at least one backup must be allowed at once".to_owned()));
    }
    if rpo.is_some_and(|rpo| rpo.as_millis() == 0) {
        return Err(JobError::Invalid("an RPO must be longer than nothing".to_owned()));
    }
    Ok(())
}

fn read(row: &Row) -> Result<Host, JobError> {
    let mode: &str = row.get("mode");
    let state: &str = row.get("state");
    let mode =
        Mode::read(mode).ok_or_else(|| JobError::UnknownWord { what: "mode", word: mode.to_owned() })?;
    let state = HostState::read(state)
        .ok_or_else(|| JobError::UnknownWord { what: "state", word: state.to_owned() })?;
    Ok(Host {
        id: HostId(row.get("id")),
        tenant: row.get("tenant_name"),
        name: row.get("name"),
        shown_as: match (mode, state) {
            (Mode::Intermittent, HostState::Offline) => "asleep",
            (_, state) => state.word(),
        },
        mode,
        tz: row.get("tz"),
        state,
        max_concurrent: row.get("max_concurrent"),
        rpo_seconds: row.get("rpo_seconds"),
        last_hello_at: row.get("last_hello_at"),
        last_seen_at: row.get("last_seen_at"),
        skew_ms: row.get("skew_ms"),
        outbox_pending: row.get("outbox_pending"),
        groups: row.get("groups"),
        last_success_at: row.get("last_success_at"),
        next_slot_at: row.get("next_slot_at"),
        missed: row.get("missed"),
        rev: row.get("rev"),
    })
}
