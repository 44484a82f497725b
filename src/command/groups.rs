//! `highwater groups`: what of a host is backed up together.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::ground::wire::config::SourceKind;
use crate::job::group::{self, CLEARABLE, Draft, Group, Keep, Settings};
use crate::job::host;
use crate::rollup::install;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

/// Most groups of one list.
const MOST: i32 = 100_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Add(Box<Add>),
    /// Groups that are in use
    List {
        /// Only of this host, by name or id
        #[arg(long)]
        host: Option<String>,
        /// Only of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Everything about one group
    Show(Which),
    /// Change a group
    Edit(Box<EditArgs>),
    /// Take a group out of use; its jobs and records stay
    Remove(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its host, by name or id
    host: String,
    /// Name or id
    group: String,
    /// The host's tenant, by name or id
    #[arg(long)]
    tenant: Option<String>,
}

/// Add a group to a host; a repository that is not known yet is made
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater groups add db-1 app --source command --command 'pg_dump -Fc app' --repository /srv/backup --keep-daily 7
  highwater groups add laptop home --source restic --path /home --exclude '*.iso' --repository s3:https://store/home")]
struct Add {
    /// The host, by name or id
    host: String,
    /// Name of the group, unique on its host
    name: String,
    /// The host's tenant, by name or id
    #[arg(long)]
    tenant: Option<String>,
    /// What makes the bytes
    #[arg(long, value_enum)]
    source: SourceFlag,
    /// Where it goes, without a password; several make one job each
    #[arg(long = "repository", value_name = "URL", required = true)]
    repositories: Vec<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, clap::Args)]
struct EditArgs {
    #[command(flatten)]
    which: Which,
    /// Take something away
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(CLEARABLE))]
    clear: Vec<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, clap::Args)]
struct SettingsArgs {
    /// With --source command: shell line whose output is the backup
    #[arg(long)]
    command: Option<String>,
    /// With --source directory or restic: what is backed up
    #[arg(long = "path", value_name = "DIR")]
    paths: Vec<String>,
    /// Patterns that are left out
    #[arg(long = "exclude", value_name = "PATTERN")]
    excludes: Vec<String>,
    /// Shell line that runs before; exit code 75 skips quietly, others fail the job
    #[arg(long, value_name = "COMMAND")]
    pre_hook: Option<String>,
    /// Shell line that runs after; a failure is a warning
    #[arg(long, value_name = "COMMAND")]
    post_hook: Option<String>,
    /// A hook that takes longer is ended [usually 5m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    hook_timeout: Option<Duration>,
    /// A backup that takes longer is ended [usually 1d]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    job_timeout: Option<Duration>,
    /// How old the last good backup may become [as the host says]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    rpo: Option<Duration>,
    /// Keep so many of the newest records
    #[arg(long, value_name = "N")]
    keep_last: Option<i32>,
    /// Keep the newest record of each of the last so many hours that have one, and so on
    #[arg(long, value_name = "N")]
    keep_hourly: Option<i32>,
    #[arg(long, value_name = "N")]
    keep_daily: Option<i32>,
    #[arg(long, value_name = "N")]
    keep_weekly: Option<i32>,
    #[arg(long, value_name = "N")]
    keep_monthly: Option<i32>,
    #[arg(long, value_name = "N")]
    keep_yearly: Option<i32>,
    /// Never leave fewer records than this [usually 1]
    #[arg(long, value_name = "N")]
    keep_min: Option<i32>,
    /// Further attempts after a failure [usually 3]
    #[arg(long, value_name = "N")]
    retry_max: Option<i32>,
    /// Pause before the first of them; doubles each time [usually 10m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    retry_base: Option<Duration>,
    /// Longest pause [usually 6h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    retry_cap: Option<Duration>,
}

impl From<SettingsArgs> for Settings {
    fn from(args: SettingsArgs) -> Settings {
        let some = |list: Vec<String>| if list.is_empty() { None } else { Some(list) };
        Settings {
            command: args.command,
            includes: some(args.paths),
            excludes: some(args.excludes),
            pre_hook: args.pre_hook,
            post_hook: args.post_hook,
            hook_timeout: args.hook_timeout,
            job_timeout: args.job_timeout,
            rpo: args.rpo,
            keep: Keep {
                last: args.keep_last,
                hourly: args.keep_hourly,
                daily: args.keep_daily,
                weekly: args.keep_weekly,
                monthly: args.keep_monthly,
                yearly: args.keep_yearly,
            },
            keep_min: args.keep_min,
            retry_max: args.retry_max,
            retry_base: args.retry_base,
            retry_cap: args.retry_cap,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceFlag {
    /// The output of a program
    Command,
    /// Files, as tar
    Directory,
    /// Files, by restic into its own repository
    Restic,
}

/// Runs the command.
///
/// # Errors
///
/// What connecting, checking and writing say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "groups").await?;
    install::require_schema(&session).await?;
    match args.action {
        Action::Add(add) => {
            let host = host::find(&session, &add.host, add.tenant.as_deref()).await?;
            let draft = Draft {
                name: add.name,
                source: match add.source {
                    SourceFlag::Command => SourceKind::Command,
                    SourceFlag::Directory => SourceKind::Directory,
                    SourceFlag::Restic => SourceKind::Restic,
                },
                repositories: add.repositories,
                settings: add.settings.into(),
            };
            let id = group::add(&mut session, &host, &draft).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": id})),
                Format::Text => say!("{} of {} is group {id}", draft.name, host.name),
            }
        }
        Action::List { host, tenant } => {
            let host = match host {
                Some(host) => Some(host::find(&session, &host, tenant.as_deref()).await?),
                None => None,
            };
            let groups = group::list(&session, tenant.as_deref(), host.as_ref(), None, MOST).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "groups": groups})),
                Format::Text => list(&groups),
            }
        }
        Action::Show(which) => {
            let host = host::find(&session, &which.host, which.tenant.as_deref()).await?;
            let found = group::find(&session, &host, &which.group).await?;
            let groups = group::list(&session, None, Some(&host), Some(found.id), 1).await?;
            match (global.format, groups.first()) {
                (Format::Text, Some(group)) => show(group),
                (_, group) => say!("{}", json!({"schema_version": SCHEMA_VERSION, "group": group})),
            }
        }
        Action::Edit(edit) => {
            let host = host::find(&session, &edit.which.host, edit.which.tenant.as_deref()).await?;
            let found = group::find(&session, &host, &edit.which.group).await?;
            let rev = group::edit(&session, &found, &edit.settings.into(), &edit.clear, None).await?;
            match global.format {
                Format::Json => {
                    say!(
                        "{}",
                        json!({"schema_version": SCHEMA_VERSION, "id": found.id, "done": "changed", "rev": rev})
                    );
                }
                Format::Text => say!("{}: changed", found.name),
            }
        }
        Action::Remove(which) => {
            let host = host::find(&session, &which.host, which.tenant.as_deref()).await?;
            let found = group::find(&session, &host, &which.group).await?;
            let tx = session.begin().await?;
            group::remove(&tx, &host, &found).await?;
            tx.commit().await?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": found.id, "done": "removed"}));
                }
                Format::Text => say!("{}: removed", found.name),
            }
        }
    }
    Ok(Exit::Done)
}

/// The rules of retention in a few words.
fn rules(group: &Group) -> String {
    let rules = [
        ("last", group.keep_last),
        ("hourly", group.keep_hourly),
        ("daily", group.keep_daily),
        ("weekly", group.keep_weekly),
        ("monthly", group.keep_monthly),
        ("yearly", group.keep_yearly),
    ];
    let said: Vec<String> =
        rules.into_iter().filter_map(|(name, count)| Some(format!("{name} {}", count?))).collect();
    if said.is_empty() { "everything".to_owned() } else { said.join(", ") }
}

fn list(groups: &[Group]) {
    if groups.is_empty() {
        say!("no groups; \"highwater groups add\" adds one");
        return;
    }
    let mut table = table::plain(["TENANT", "HOST", "GROUP", "SOURCE", "WHAT", "REPOSITORY", "KEEP"]);
    for group in groups {
        table.add_row([
            group.tenant.clone(),
            group.host.clone(),
            group.name.clone(),
            group.source.clone(),
            group.command.clone().unwrap_or_else(|| group.includes.join(" ")),
            group.repositories.join(" "),
            rules(group),
        ]);
    }
    table::print(&table);
}

fn show(group: &Group) {
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            say!("{name:<14}{value}");
        }
    };
    let some = |list: &[String]| if list.is_empty() { None } else { Some(list.join(" ")) };
    line("group", Some(group.name.clone()));
    line("id", Some(group.id.to_string()));
    line("host", Some(format!("{} of {}", group.host, group.tenant)));
    line("source", Some(group.source.clone()));
    line("command", group.command.clone());
    line("paths", some(&group.includes));
    line("excludes", some(&group.excludes));
    line("pre-hook", group.pre_hook.clone());
    line("post-hook", group.post_hook.clone());
    line("hook timeout", Some(table::span(group.hook_timeout_seconds)));
    line("job timeout", Some(table::span(group.job_timeout_seconds)));
    line("repositories", some(&group.repositories));
    line("rpo", group.rpo_seconds.map(table::span));
    line("keep", Some(rules(group)));
    line("keep at least", Some(group.keep_min.to_string()));
    line(
        "retries",
        Some(format!(
            "{}, after {} doubling up to {}",
            group.retry_max,
            table::span(group.retry_base_seconds),
            table::span(group.retry_cap_seconds)
        )),
    );
    line("revision", Some(group.rev.to_string()));
}
