//! `highwater hosts`: machines that back themselves up.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::{Session, connect};
use crate::ground::exit::Exit;
use crate::ground::wire::config::Mode;
use crate::job::host::{self, Draft, Edit, Found, Host};
use crate::rollup::install;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

/// Most hosts of one list.
const MOST: i32 = 100_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Add(Add),
    /// All hosts that are in use
    List {
        /// Only of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Everything about one host
    Show(Which),
    /// Change a host
    Edit(EditArgs),
    /// Retire a host: its history stays, its tokens and schedules end
    Remove(Which),
    /// Make a bearer token for a host's agent; it is shown once
    Token {
        #[command(flatten)]
        which: Which,
        /// The token is refused after this
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
        /// Take all other tokens of the host back
        #[arg(long)]
        revoke_others: bool,
    },
    /// Make a new enrolment code; an older one that was not used is void
    EnrolCode(Which),
}

/// A host, by name or id.
#[derive(Debug, clap::Args)]
struct Which {
    /// Name or id
    host: String,
    /// Its tenant, by name or id, where two have a host of that name
    #[arg(long)]
    tenant: Option<String>,
}

/// Add a host; a tenant that is not known yet is made
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  highwater hosts add laptop --tenant acme --mode intermittent --tz Europe/Berlin")]
struct Add {
    name: String,
    /// Whose it is
    #[arg(long)]
    tenant: String,
    /// Whether its absence is a worry
    #[arg(long, value_enum)]
    mode: ModeFlag,
    /// IANA zone in which its days are counted
    #[arg(long, value_name = "ZONE")]
    tz: String,
    /// Backups that may run on it at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_concurrent: i32,
    /// How old the last good backup of each of its groups may become
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    rpo: Option<Duration>,
}

#[derive(Debug, clap::Args)]
struct EditArgs {
    #[command(flatten)]
    which: Which,
    #[arg(long, value_enum)]
    mode: Option<ModeFlag>,
    /// IANA zone
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    #[arg(long, value_name = "N")]
    max_concurrent: Option<i32>,
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "no_rpo")]
    rpo: Option<Duration>,
    /// Take the RPO away
    #[arg(long)]
    no_rpo: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeFlag {
    /// Its absence is an alarm
    #[value(alias = "always_on")]
    AlwaysOn,
    /// It sleeps, and catches up when it wakes
    Intermittent,
}

impl From<ModeFlag> for Mode {
    fn from(flag: ModeFlag) -> Mode {
        match flag {
            ModeFlag::AlwaysOn => Mode::AlwaysOn,
            ModeFlag::Intermittent => Mode::Intermittent,
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// What connecting, checking and writing say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "hosts").await?;
    install::require_schema(&session).await?;
    match args.action {
        Action::Add(add) => {
            let draft = Draft {
                tenant: add.tenant,
                name: add.name,
                mode: add.mode.into(),
                tz: add.tz,
                max_concurrent: add.max_concurrent,
                rpo: add.rpo,
            };
            let (id, code) = host::add(&mut session, &draft).await?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": id, "enrol_code": code}));
                }
                Format::Text => say!(
                    "{} is host {id}; within 7 days, on it: highwater agent enrol --server URL --code {code} --dir DIR",
                    draft.name
                ),
            }
        }
        Action::List { tenant } => {
            let hosts = host::list(&session, tenant.as_deref(), None, MOST).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "hosts": hosts})),
                Format::Text => list(&hosts),
            }
        }
        Action::Show(which) => {
            let found = find(&session, &which).await?;
            let hosts = host::list(&session, None, Some(found.id), 1).await?;
            match (global.format, hosts.first()) {
                (Format::Text, Some(host)) => show(host),
                (_, host) => say!("{}", json!({"schema_version": SCHEMA_VERSION, "host": host})),
            }
        }
        Action::Edit(edit) => {
            let found = find(&session, &edit.which).await?;
            let change = Edit {
                mode: edit.mode.map(Mode::from),
                tz: edit.tz,
                max_concurrent: edit.max_concurrent,
                rpo: if edit.no_rpo { Some(None) } else { edit.rpo.map(Some) },
            };
            let rev = host::edit(&session, &found, &change, None).await?;
            told(global.format, &found, "changed", json!({"rev": rev}));
        }
        Action::Remove(which) => {
            let found = find(&session, &which).await?;
            let tx = session.begin().await?;
            host::remove(&tx, &found).await?;
            tx.commit().await?;
            told(global.format, &found, "retired", json!({}));
        }
        Action::Token { which, expires, revoke_others } => {
            let found = find(&session, &which).await?;
            let token = host::token(&session, &found, expires, revoke_others).await?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": found.id, "token": token}));
                }
                Format::Text => say!("{token}"),
            }
        }
        Action::EnrolCode(which) => {
            let found = find(&session, &which).await?;
            let code = host::code(&session, &found).await?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": found.id, "enrol_code": code}));
                }
                Format::Text => say!("{code}"),
            }
        }
    }
    Ok(Exit::Done)
}

async fn find(session: &Session, which: &Which) -> anyhow::Result<Found> {
    Ok(host::find(session, &which.host, which.tenant.as_deref()).await?)
}

fn told(format: Format, host: &Found, done: &str, more: serde_json::Value) {
    match format {
        Format::Json => {
            let mut document = json!({"schema_version": SCHEMA_VERSION, "id": host.id, "done": done});
            if let (Some(document), serde_json::Value::Object(more)) = (document.as_object_mut(), more) {
                document.extend(more);
            }
            say!("{document}");
        }
        Format::Text => say!("{}: {done}", host.name),
    }
}

fn list(hosts: &[Host]) {
    if hosts.is_empty() {
        say!("no hosts; \"highwater hosts add\" adds one");
        return;
    }
    let mut table = table::plain([
        "TENANT",
        "HOST",
        "MODE",
        "ZONE",
        "STATE",
        "GROUPS",
        "LAST BACKUP (UTC)",
        "NEXT SLOT",
        "MISSED",
        "LAST SEEN",
    ]);
    for host in hosts {
        table.add_row([
            host.tenant.clone(),
            host.name.clone(),
            host.mode.word().to_owned(),
            host.tz.clone(),
            host.shown_as.to_owned(),
            host.groups.to_string(),
            table::at(host.last_success_at),
            table::at(host.next_slot_at),
            host.missed.to_string(),
            table::at(host.last_seen_at),
        ]);
    }
    table::print(&table);
}

fn show(host: &Host) {
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            say!("{name:<16}{value}");
        }
    };
    line("host", Some(host.name.clone()));
    line("id", Some(host.id.to_string()));
    line("tenant", Some(host.tenant.clone()));
    line("mode", Some(host.mode.word().to_owned()));
    line("zone", Some(host.tz.clone()));
    line("state", Some(host.shown_as.to_owned()));
    line("groups", Some(host.groups.to_string()));
    line("at once", Some(host.max_concurrent.to_string()));
    line("rpo", host.rpo_seconds.map(table::span));
    line("last backup", host.last_success_at.map(|at| table::at(Some(at))));
    line("next slot", host.next_slot_at.map(|at| table::at(Some(at))));
    line("missed, 30 days", Some(host.missed.to_string()));
    line("last hello", host.last_hello_at.map(|at| table::at(Some(at))));
    line("last seen", host.last_seen_at.map(|at| table::at(Some(at))));
    line("clock ahead", host.skew_ms.map(|ms| format!("{ms} ms")));
    line("outbox", host.outbox_pending.map(|count| format!("{count} reports wait")));
    line("revision", Some(host.rev.to_string()));
}
