//! `highwater alarms`: what a person should know, and where it is told.

mod channel;

use clap::Subcommand;
use serde_json::json;
use uuid::Uuid;

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::job::alarm::{self, Alarm};
use crate::rollup::install;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Open alarms, newest first
    List {
        /// Only of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// Resolved ones too
        #[arg(long)]
        all: bool,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=100_000))]
        limit: i32,
    },
    /// Where alarms are told: add, list, edit, remove, test, retry
    #[command(subcommand)]
    Channel(channel::Action),
    /// Take notice of an alarm
    Ack {
        /// Its id, as "alarms list" shows it
        alarm: Uuid,
        /// Who takes notice
        #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
        by: String,
        /// Only if it is of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
///
/// What connecting, reading and writing say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let session = connect::connect(&target, "alarms").await?;
    install::require_schema(&session).await?;
    match args.action {
        Action::List { tenant, all, limit } => {
            let alarms = alarm::list(&session, tenant.as_deref(), all, limit).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "alarms": alarms})),
                Format::Text => list(&alarms),
            }
        }
        Action::Channel(action) => channel::run(global, &session, action).await?,
        Action::Ack { alarm, by, tenant } => {
            let state = alarm::acknowledge(&session, alarm, tenant.as_deref(), &by).await?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "id": alarm, "state": state}))
                }
                Format::Text => say!("{alarm}: {state}"),
            }
        }
    }
    Ok(Exit::Done)
}

fn list(alarms: &[Alarm]) {
    if alarms.is_empty() {
        say!("no open alarm");
        return;
    }
    let mut table = table::plain(["ALARM", "SINCE (UTC)", "TENANT", "KIND", "STATE", "TIMES", "WHAT"]);
    for alarm in alarms {
        table.add_row([
            alarm.id.to_string(),
            table::at(Some(alarm.raised_at)),
            alarm.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            alarm.kind.to_string(),
            alarm.state.to_string(),
            alarm.times.to_string(),
            alarm.message.lines().next().unwrap_or_default().chars().take(100).collect(),
        ]);
    }
    table::print(&table);
}
