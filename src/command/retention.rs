//! `highwater retention`: what would go, and by which rule, before anything does.

use clap::Subcommand;
use serde_json::json;

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::job::record::{self, Plan};
use crate::job::{group, host};
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
    /// Decide over the complete records, and say by which rule each stays or would go; nothing is changed
    Plan {
        /// Only of this host, by name or id
        host: Option<String>,
        /// Only of this group of the host, by name or id
        group: Option<String>,
        /// Only of this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// Show those that stay too
        #[arg(long)]
        all: bool,
    },
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let session = connect::connect(&target, "retention").await?;
    install::require_schema(&session).await?;
    let Action::Plan { host, group, tenant, all } = args.action;
    let host = match host {
        Some(host) => Some(host::find(&session, &host, tenant.as_deref()).await?),
        None => None,
    };
    let group = match (&host, group) {
        (Some(host), Some(group)) => Some(group::find(&session, host, &group).await?.id),
        _ => None,
    };
    let mut plans =
        record::plans(&session, tenant.as_deref(), host.as_ref().map(|host| host.id), group).await?;
    if !all {
        for plan in &mut plans {
            plan.decisions.retain(|decision| !decision.stays);
        }
    }
    match global.format {
        Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "plans": plans})),
        Format::Text => show(&plans),
    }
    Ok(Exit::Done)
}

fn show(plans: &[Plan]) {
    if plans.iter().all(|plan| plan.decisions.is_empty()) {
        say!("nothing would go");
        return;
    }
    let mut table = table::plain(["HOST", "GROUP", "RECORD", "OF (UTC)", "", "WHY"]);
    for plan in plans {
        for decision in &plan.decisions {
            table.add_row([
                plan.host.clone(),
                plan.group.clone(),
                decision.id.to_string(),
                table::at(Some(decision.at)),
                if decision.stays { "stays" } else { "would go" }.to_owned(),
                decision.rules.join(", "),
            ]);
        }
    }
    table::print(&table);
}
