//! Source groups: what of a host is backed up together, where to, and how long it is kept.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::JobError;
use super::host::{self, changed, millis};
use super::name::{self, Named};
use super::slot;
use crate::db::{Executor, Row, Session, Tx};
use crate::ground::wire::config::{RepositoryKind, SourceKind};
use crate::ground::wire::id::{GroupId, RepositoryId};

/// What can be said of a group when it is added and later; `None` leaves a thing as it is, or as is usual.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub command: Option<String>,
    pub includes: Option<Vec<String>>,
    pub excludes: Option<Vec<String>>,
    pub pre_hook: Option<String>,
    pub post_hook: Option<String>,
    pub hook_timeout: Option<Duration>,
    pub job_timeout: Option<Duration>,
    pub rpo: Option<Duration>,
    pub keep: Keep,
    pub keep_min: Option<i32>,
    pub retry_max: Option<i32>,
    pub retry_base: Option<Duration>,
    pub retry_cap: Option<Duration>,
}

/// The rules of retention, as far as they are said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    pub last: Option<i32>,
    pub hourly: Option<i32>,
    pub daily: Option<i32>,
    pub weekly: Option<i32>,
    pub monthly: Option<i32>,
    pub yearly: Option<i32>,
}

/// A group to be added.
#[derive(Debug, Clone)]
pub struct Draft {
    pub name: String,
    pub source: SourceKind,
    /// The first one is where it goes first.
    pub repositories: Vec<String>,
    pub settings: Settings,
}

/// What an edit may take away.
pub const CLEARABLE: [&str; 9] = [
    "pre-hook",
    "post-hook",
    "rpo",
    "keep-last",
    "keep-hourly",
    "keep-daily",
    "keep-weekly",
    "keep-monthly",
    "keep-yearly",
];

/// A group that was found by what someone wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: GroupId,
    pub name: String,
}

/// One group, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    pub id: GroupId,
    pub tenant: String,
    pub host: String,
    pub name: String,
    pub source: String,
    pub command: Option<String>,
    pub includes: Vec<String>,
    pub excludes: Vec<String>,
    pub pre_hook: Option<String>,
    pub post_hook: Option<String>,
    pub hook_timeout_seconds: i64,
    pub job_timeout_seconds: i64,
    pub repositories: Vec<String>,
    pub rpo_seconds: Option<i64>,
    pub keep_last: Option<i32>,
    pub keep_hourly: Option<i32>,
    pub keep_daily: Option<i32>,
    pub keep_weekly: Option<i32>,
    pub keep_monthly: Option<i32>,
    pub keep_yearly: Option<i32>,
    pub keep_min: i32,
    pub retry_max: i32,
    pub retry_base_seconds: i64,
    pub retry_cap_seconds: i64,
    pub rev: i64,
}

/// Adds a group to a host, with the repositories that are not known yet.
///
/// # Errors
///
/// [`JobError::Invalid`] for what cannot be, [`JobError::Exists`].
pub async fn add(session: &mut Session, host: &host::Found, draft: &Draft) -> Result<GroupId, JobError> {
    name::check("group", &draft.name)?;
    check(draft)?;
    let id = GroupId::fresh();
    let tx = session.begin().await?;
    let mut repositories = Vec::new();
    for url in &draft.repositories {
        repositories.push(repository(&tx, host.tenant, draft.source, url).await?);
    }
    let ids: Vec<Uuid> = repositories.iter().map(|repository| repository.0).collect();
    let settings = &draft.settings;
    let added = tx
        .query_opt(
            include_str!("../../sql/job/group_add.sql"),
            &[
                &id.0,
                &host.tenant,
                &host.id.0,
                &draft.name,
                &draft.source.word(),
                &settings.command,
                &settings.includes.clone().unwrap_or_default(),
                &settings.excludes.clone().unwrap_or_default(),
                &settings.pre_hook,
                &settings.post_hook,
                &settings.hook_timeout.map(millis),
                &settings.job_timeout.map(millis),
                &ids,
                &settings.rpo.map(millis),
                &settings.keep.last,
                &settings.keep.hourly,
                &settings.keep.daily,
                &settings.keep.weekly,
                &settings.keep.monthly,
                &settings.keep.yearly,
                &settings.keep_min,
                &settings.retry_max,
                &settings.retry_base.map(millis),
                &settings.retry_cap.map(millis),
            ],
        )
        .await?;
    if added.is_none() {
        return Err(JobError::Exists {
            what: "group",
            name: draft.name.clone(),
            within: Some(format!("host {}", host.name)),
            remedy: "\"highwater groups edit\" changes it".to_owned(),
        });
    }
    tx.query(include_str!("../../sql/job/group_repositories_add.sql"), &[&id.0, &ids]).await?;
    tx.commit().await?;
    Ok(id)
}

/// Finds a group of a host that is in use, by id or name.
///
/// # Errors
///
/// [`JobError::Unknown`].
pub async fn find(db: &impl Executor, host: &host::Found, group: &str) -> Result<Found, JobError> {
    let named = Named::new(group);
    let statement = include_str!("../../sql/job/find_group.sql");
    let row = db.query_opt(statement, &[&host.id.0, &named.text, &named.id]).await?;
    row.map(|row| Found { id: GroupId(row.get("id")), name: row.get("name") }).ok_or_else(|| {
        JobError::Unknown {
            what: "group",
            name: group.to_owned(),
            within: Some(format!("host {}", host.name)),
            list: "groups list",
        }
    })
}

/// Groups by tenant, host and name, at most `most`; those of one tenant or host, or one group, if asked for.
///
/// # Errors
///
/// What the server says.
pub async fn list(
    db: &impl Executor,
    tenant: Option<&str>,
    host: Option<&host::Found>,
    group: Option<GroupId>,
    most: i32,
) -> Result<Vec<Group>, JobError> {
    let within = tenant.map(Named::new);
    let (tenant_name, tenant_id) = Named::both(within.as_ref());
    let rows = db
        .query(
            include_str!("../../sql/job/groups.sql"),
            &[&tenant_name, &tenant_id, &host.map(|host| host.id.0), &group.map(|group| group.0), &most],
        )
        .await?;
    Ok(rows.iter().map(read).collect())
}

/// Changes a group; `clear` names what is taken away, out of [`CLEARABLE`].
///
/// # Errors
///
/// [`JobError::Invalid`]; [`JobError::Changed`] when it is no longer at the revision `rev`.
pub async fn edit(
    db: &impl Executor,
    group: &Found,
    settings: &Settings,
    clear: &[String],
    rev: Option<i64>,
) -> Result<i64, JobError> {
    check_settings(settings)?;
    let row = db
        .query_one(
            include_str!("../../sql/job/group_edit.sql"),
            &[
                &group.id.0,
                &clear.to_vec(),
                &rev,
                &settings.command,
                &settings.includes,
                &settings.excludes,
                &settings.pre_hook,
                &settings.post_hook,
                &settings.hook_timeout.map(millis),
                &settings.job_timeout.map(millis),
                &settings.rpo.map(millis),
                &settings.keep.last,
                &settings.keep.hourly,
                &settings.keep.daily,
                &settings.keep.weekly,
                &settings.keep.monthly,
                &settings.keep.yearly,
                &settings.keep_min,
                &settings.retry_max,
                &settings.retry_base.map(millis),
                &settings.retry_cap.map(millis),
            ],
        )
        .await
        .map_err(|error| match error.server().and_then(|server| server.constraint.as_deref()) {
            Some("source_group_command_has_a_command") => {
                JobError::Invalid("--command is for a group whose source is command".to_owned())
            }
            Some("source_group_paths_are_named") => JobError::Invalid(
                "a group whose source is directory or restic needs at least one --path".to_owned(),
            ),
            _ => JobError::Db(error),
        })?;
    changed("group", &group.name, rev, &row)
}

/// Takes a group out of use. Its jobs and records stay, what it owes is abandoned, and its name is free again.
///
/// # Errors
///
/// What the server says.
pub async fn remove(tx: &Tx<'_>, host: &host::Found, group: &Found) -> Result<(), JobError> {
    slot::materialise_host(tx, host.id).await?;
    tx.query_one(include_str!("../../sql/job/group_remove.sql"), &[&group.id.0]).await?;
    Ok(())
}

/// The tenant's repository of that URL, made if it is not known.
async fn repository(
    db: &impl Executor,
    tenant: Uuid,
    source: SourceKind,
    url: &str,
) -> Result<RepositoryId, JobError> {
    let invalid = |reason: &str| Err(JobError::Invalid(format!("repository: {reason}")));
    if url.trim().is_empty() {
        return invalid("a URL is expected, such as /srv/backup or s3://bucket/prefix");
    }
    if has_password(url) {
        return invalid("a URL must not hold a password; the agent reads secrets from its own environment");
    }
    let kind = match source {
        SourceKind::Restic => RepositoryKind::Restic,
        SourceKind::Command | SourceKind::Directory if url.starts_with("s3:") => RepositoryKind::S3,
        SourceKind::Command | SourceKind::Directory => RepositoryKind::Directory,
    };
    let fresh = RepositoryId::fresh();
    let statement = include_str!("../../sql/job/repository_add.sql");
    let row = db.query_one(statement, &[&fresh.0, &tenant, &kind.word(), &url]).await?;
    if row.get::<_, &str>("kind") != kind.word() {
        return Err(JobError::Invalid(format!(
            "repository {url} is of kind {}, and source {} needs one of kind {kind}",
            row.get::<_, &str>("kind"),
            source.word()
        )));
    }
    Ok(RepositoryId(row.get("id")))
}

/// Whether the part of a URL before its host has a colon with something behind it.
fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
}

fn check(draft: &Draft) -> Result<(), JobError> {
    let invalid = |reason: &str| Err(JobError::Invalid(format!("group \"{}\": {reason}", draft.name)));
    if draft.repositories.is_empty() {
        return invalid("at least one --repository is needed");
    }
    let has_paths = draft.settings.includes.as_ref().is_some_and(|paths| !paths.is_empty());
    match (draft.source, draft.settings.command.is_some(), has_paths) {
        (SourceKind::Command, false, _) => return invalid("--source command needs --command"),
        (SourceKind::Command, true, true) => {
            return invalid("--path is for the sources directory and restic");
        }
        (SourceKind::Directory | SourceKind::Restic, true, _) => {
            return invalid("--command is for --source command");
        }
        (SourceKind::Directory | SourceKind::Restic, false, false) => {
            return invalid("at least one --path is needed");
        }
        (SourceKind::Command, true, false) | (SourceKind::Directory | SourceKind::Restic, false, true) => {}
    }
    check_settings(&draft.settings)
}

fn check_settings(settings: &Settings) -> Result<(), JobError> {
    let invalid = |reason: &str| Err(JobError::Invalid(reason.to_owned()));
    let Keep { last, hourly, daily, weekly, monthly, yearly } = settings.keep;
    let counts = [last, hourly, daily, weekly, monthly, yearly, settings.keep_min];
    if counts.into_iter().flatten().any(|count| count < 1) {
        return invalid("rules of retention count from 1; --clear takes one away");
    }
    if settings.retry_max.is_some_and(|most| most < 0) {
        return invalid("the number of retries cannot be negative");
    }
    let spans =
        [settings.hook_timeout, settings.job_timeout, settings.rpo, settings.retry_base, settings.retry_cap];
    if spans.into_iter().flatten().any(|span| span.as_millis() == 0) {
        return invalid("timeouts, pauses and RPOs must be longer than nothing");
    }
    Ok(())
}

fn read(row: &Row) -> Group {
    Group {
        id: GroupId(row.get("id")),
        tenant: row.get("tenant_name"),
        host: row.get("host_name"),
        name: row.get("name"),
        source: row.get("source"),
        command: row.get("command"),
        includes: row.get("includes"),
        excludes: row.get("excludes"),
        pre_hook: row.get("pre_hook"),
        post_hook: row.get("post_hook"),
        hook_timeout_seconds: row.get("hook_timeout_seconds"),
        job_timeout_seconds: row.get("job_timeout_seconds"),
        repositories: row.get("repositories"),
        rpo_seconds: row.get("rpo_seconds"),
        keep_last: row.get("keep_last"),
        keep_hourly: row.get("keep_hourly"),
        keep_daily: row.get("keep_daily"),
        keep_weekly: row.get("keep_weekly"),
        keep_monthly: row.get("keep_monthly"),
        keep_yearly: row.get("keep_yearly"),
        keep_min: row.get("keep_min"),
        retry_max: row.get("retry_max"),
        retry_base_seconds: row.get("retry_base_seconds"),
        retry_cap_seconds: row.get("retry_cap_seconds"),
        rev: row.get("rev"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_seen() {
        assert!(has_password("https://ann:s3cret@store/backup"));
        assert!(has_password("rest:https://ann:s3cret@store/backup"));
        for good in [
            "/srv/backup",
            "s3://bucket/x",
            "sftp://ann@store/x",
            "https://store:443/a@b:c",
            "https://ann:@store/",
        ] {
            assert!(!has_password(good), "{good}");
        }
    }
}
