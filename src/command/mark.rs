//! `highwater rollup mark`: says that a range has changed without a trigger having seen it.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::when;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::rollup::status::SCHEMA_VERSION;
use crate::rollup::{RollupName, mark};

/// Mark a range as changed, after a load that fired no triggers
///
/// Writes under session_replication_role = replica, logical replication's included, leave no marks of their own.
#[derive(Debug, clap::Args)]
pub struct Args {
    name: RollupName,
    /// Start, inclusive: 2024-03, 2024-03-15 or 2024-03-15T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    from: DateTime<Utc>,
    /// End, exclusive
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    to: DateTime<Utc>,
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and the engine say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup mark").await?;
    let name = &args.name;
    let marked = mark::run(&mut session, name, args.from, args.to).await?;
    match global.format {
        Format::Json => say!(
            "{}",
            json!({
                "schema_version": SCHEMA_VERSION, "rollup": name.as_str(), "from": marked.from, "to": marked.to,
                "months_found": marked.months,
            })
        ),
        Format::Text => {
            say!("{name}: marked from {} to {}, {} new months found", marked.from, marked.to, marked.months);
            say!("next: highwater rollup drain {name}");
        }
    }
    Ok(Exit::Done)
}
