//! `highwater catchups`: hosts that may have missed a backup and are about to be looked at.

use clap::Subcommand;
use serde_json::json;

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::job::arm::{self, Arm};
use crate::job::schedule;
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
    /// Hosts that are armed, and what they wait for
    List {
        /// Only this host
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// Only hosts of this tenant
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Have a worker look at a host within seconds
    Arm {
        /// Name or id
        host: String,
        /// Tenant of the host, where several have one of that name
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let session = connect::connect(&target, "catchups").await?;
    install::require_schema(&session).await?;
    match args.action {
        Action::List { host, tenant } => {
            let arms = arm::list(&session, tenant.as_deref(), host.as_deref()).await?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "catchups": arms})),
                Format::Text => list(&arms),
            }
        }
        Action::Arm { host, tenant } => {
            let host = schedule::host(&session, &host, tenant.as_deref()).await?;
            let due_at = arm::arm(&session, &host).await?;
            match global.format {
                Format::Json => say!("{}", json!({"host": host.id, "due_at": due_at})),
                Format::Text => say!("{} will be looked at by a worker, within seconds", host.name),
            }
        }
    }
    Ok(Exit::Done)
}

fn list(arms: &[Arm]) {
    if arms.is_empty() {
        say!("no host is armed");
        return;
    }
    let mut table = table::plain(["TENANT", "HOST", "DUE (UTC)", "BY", "TRIES", "OVERDUE", "WAITS FOR"]);
    for one in arms {
        let waits_for = match (one.state.as_str(), one.outbox_pending, one.is_busy) {
            ("online", 1.., _) => format!("{} reports to come in", one.outbox_pending),
            ("online", _, true) => "the run in hand".to_owned(),
            ("online", _, false) => "its time".to_owned(),
            _ => "nothing: the host is away".to_owned(),
        };
        table.add_row([
            one.tenant.clone(),
            one.host.clone(),
            one.due_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            one.armed_by.clone(),
            one.tries.to_string(),
            one.overdue.to_string(),
            waits_for,
        ]);
    }
    table::print(&table);
}
