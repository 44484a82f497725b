//! Channels: where alarms are told. What a channel signs or logs in with is named here and kept elsewhere.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::JobError;
use super::alarm::Kind as AlarmKind;
use super::name::{self, Named};
use super::telling::address::Address;
use super::telling::secret;
use crate::db::{Executor, Row};
use crate::ground::wire::state::words;

words!(
    /// How a channel is told.
    Kind { Webhook = "webhook", Smtp = "smtp" }
);

words!(
    /// How bad an alarm is; follows from its kind.
    Severity { Warning = "warning", Critical = "critical" }
);

/// What a channel is told, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// A URL, or a reference to one that is itself a secret.
    pub url: String,
    /// Reference to the key that signs a webhook, or to the password of smtp.
    pub secret: Option<String>,
    /// Of smtp.
    pub username: Option<String>,
    pub sender: Option<String>,
    pub recipients: Vec<String>,
    /// None: all.
    pub kinds: Option<Vec<AlarmKind>>,
    pub min_severity: Severity,
    /// A channel that is off is told nothing new, and what waits goes on waiting.
    pub enabled: bool,
}

/// A channel, with how it fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Channel {
    pub id: Uuid,
    /// None: it is told of all tenants, and of what is no tenant's.
    pub tenant: Option<String>,
    pub name: String,
    pub kind: Kind,
    #[serde(flatten)]
    pub settings: Settings,
    pub rev: i64,
    /// Tellings that wait.
    pub waiting: i64,
    /// Tellings that were given up.
    pub failed: i64,
    /// What the last try of those that wait met.
    pub last_error: Option<String>,
}

/// Adds a channel, of a tenant or of whoever runs highwater. It is told what is raised from then on.
///
/// # Errors
///
/// [`JobError::Invalid`], [`JobError::Unknown`] for the tenant, [`JobError::Exists`].
pub async fn add(
    db: &impl Executor,
    tenant: Option<&str>,
    channel: &str,
    kind: Kind,
    settings: &Settings,
) -> Result<Uuid, JobError> {
    name::check("channel", channel)?;
    check(kind, settings)?;
    let owner = match tenant {
        Some(tenant) => Some(super::backup::tenant_id(db, tenant).await?),
        None => None,
    };
    let row = db
        .query_opt(
            include_str!("../../sql/job/alarm/channel_add.sql"),
            &[
                &owner,
                &channel,
                &kind.word(),
                &settings.url,
                &settings.secret,
                &settings.username,
                &settings.sender,
                &settings.recipients,
                &kinds(settings),
                &settings.min_severity.word(),
                &settings.enabled,
            ],
        )
        .await?;
    row.map(|row| row.get("id")).ok_or_else(|| JobError::Exists {
        what: "channel",
        name: channel.to_owned(),
        within: tenant.map(|tenant| format!("tenant {tenant}")),
        remedy: "\"highwater alarms channel edit\" changes it".to_owned(),
    })
}

/// Channels by tenant and name; those of one tenant if asked for.
///
/// # Errors
///
/// [`JobError::UnknownWord`].
pub async fn list(db: &impl Executor, tenant: Option<&str>) -> Result<Vec<Channel>, JobError> {
    rows(db, None, tenant).await
}

/// One channel by name or id.
///
/// # Errors
///
/// [`JobError::Unknown`], [`JobError::Ambiguous`].
pub async fn find(db: &impl Executor, channel: &str, tenant: Option<&str>) -> Result<Channel, JobError> {
    let mut found = rows(db, Some(channel), tenant).await?;
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(unknown(channel, tenant)),
        (Some(one), false) => {
            found.push(one);
            let of = |one: &Channel| match &one.tenant {
                Some(tenant) => format!("{} of tenant {tenant}", one.id),
                None => format!("{} of no tenant", one.id),
            };
            Err(JobError::Ambiguous {
                what: "channel",
                name: channel.to_owned(),
                candidates: found.iter().map(of).collect(),
                remedy: "add --tenant, or give the id",
            })
        }
    }
}

/// Changes a channel, which must still be as it was read.
///
/// # Errors
///
/// [`JobError::Invalid`], [`JobError::Changed`].
pub async fn edit(db: &impl Executor, channel: &Channel, settings: &Settings) -> Result<i64, JobError> {
    check(channel.kind, settings)?;
    let row = db
        .query_opt(
            include_str!("../../sql/job/alarm/channel_edit.sql"),
            &[
                &channel.id,
                &channel.rev,
                &settings.url,
                &settings.secret,
                &settings.username,
                &settings.sender,
                &settings.recipients,
                &kinds(settings),
                &settings.min_severity.word(),
                &settings.enabled,
            ],
        )
        .await?;
    match row {
        Some(row) => Ok(row.get("rev")),
        None => {
            let found = find(db, &channel.id.to_string(), None).await?;
            Err(JobError::Changed {
                what: "channel",
                name: channel.name.clone(),
                wanted: channel.rev,
                found: found.rev,
            })
        }
    }
}

/// Removes a channel, with what was to be told it.
///
/// # Errors
///
/// [`JobError::Unknown`] for one that is gone already.
pub async fn remove(db: &impl Executor, channel: &Channel) -> Result<(), JobError> {
    let gone = db.query_opt(include_str!("../../sql/job/alarm/channel_remove.sql"), &[&channel.id]).await?;
    gone.map(|_| ()).ok_or_else(|| unknown(&channel.name, None))
}

/// Makes what was given up, and what waits, due at once; returns how much that is.
///
/// # Errors
///
/// What the server says.
pub async fn retry(db: &impl Executor, channel: &Channel) -> Result<i64, JobError> {
    let row = db.query_one(include_str!("../../sql/job/alarm/channel_retry.sql"), &[&channel.id]).await?;
    Ok(row.get("anew"))
}

async fn rows(
    db: &impl Executor,
    channel: Option<&str>,
    tenant: Option<&str>,
) -> Result<Vec<Channel>, JobError> {
    let (named, within) = (channel.map(Named::new), tenant.map(Named::new));
    let (channel_name, channel_id) = Named::both(named.as_ref());
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let statement = include_str!("../../sql/job/alarm/channels.sql");
    let rows = db.query(statement, &[&channel_name, &channel_id, &tenant_name, &tenant_id]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Channel, JobError> {
    let known = |word: &str| JobError::UnknownWord { what: "word of a channel", word: word.to_owned() };
    let word: &str = row.get("kind");
    let severity: &str = row.get("min_severity");
    let kinds = match row.get::<_, Option<Vec<String>>>("kinds") {
        None => None,
        Some(words) => Some(
            words
                .iter()
                .map(|word| AlarmKind::read(word).ok_or_else(|| known(word)))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Channel {
        id: row.get("id"),
        tenant: row.get("tenant_name"),
        name: row.get("name"),
        kind: Kind::read(word).ok_or_else(|| known(word))?,
        settings: Settings {
            url: row.get("url"),
            secret: row.get("secret"),
            username: row.get("username"),
            sender: row.get("sender"),
            recipients: row.get("recipients"),
            kinds,
            min_severity: Severity::read(severity).ok_or_else(|| known(severity))?,
            enabled: row.get("enabled"),
        },
        rev: row.get("rev"),
        waiting: row.get("waiting"),
        failed: row.get("failed"),
        last_error: row.get("last_error"),
    })
}

/// Whether the settings make sense by themselves; what they refer to is looked at when something is told.
fn check(kind: Kind, settings: &Settings) -> Result<(), JobError> {
    if let Some(reference) = &settings.secret {
        secret::check(reference)?;
    }
    if settings.kinds.as_ref().is_some_and(Vec::is_empty) {
        return Err(JobError::Invalid(
            "a channel without kinds is told nothing; leave them out for all".to_owned(),
        ));
    }
    Address::read(
        kind,
        &settings.url,
        settings.username.as_deref(),
        settings.secret.as_deref(),
        settings.sender.as_deref(),
        &settings.recipients,
    )
    .map(|_| ())
}

fn kinds(settings: &Settings) -> Option<Vec<String>> {
    settings.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| kind.word().to_owned()).collect())
}

fn unknown(channel: &str, tenant: Option<&str>) -> JobError {
    JobError::Unknown {
        what: "channel",
        name: channel.to_owned(),
        within: tenant.map(|tenant| format!("tenant {tenant}")),
        list: "alarms channel list",
    }
}
