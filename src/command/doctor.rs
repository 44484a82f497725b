//! `highwater doctor`: what stands in the way of backups on this host.

use std::path::PathBuf;

use serde_json::json;

use crate::agent::doctor;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::ground::exit::Exit;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

/// On a backup host: look at server, clock, token, disk, restic and hooks
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all is well; 1 something is not.")]
pub struct Args {
    /// The agent's directory
    #[arg(long, value_name = "DIR", default_value = "agent")]
    dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
///
/// None: what goes wrong is the answer.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let checks = doctor::examine(&args.dir).await;
    match global.format {
        Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "checks": checks})),
        Format::Text => {
            for check in &checks {
                say!("[{}] {:<10} {}", if check.is_well { "+" } else { "-" }, check.name, check.words);
            }
        }
    }
    Ok(if checks.iter().all(|check| check.is_well) { Exit::Done } else { Exit::Unexpected })
}
