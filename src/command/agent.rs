//! `highwater agent`: what a backup host runs.

mod duty;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use crate::agent::outbox::{Bounds, Outbox};
use crate::agent::settings::Settings;
use crate::agent::{AgentError, archive, by_hand, config, enrol, forecast, status as agent_status};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::ground::clock;
use crate::ground::exit::Exit;
use crate::ground::logging;
use crate::ground::shutdown::Shutdown;
use crate::ground::wire::id::RecordId;
use crate::ground::wire::state::Ended;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Args)]
struct Dir {
    /// The agent's directory
    #[arg(long, value_name = "DIR", default_value = "agent")]
    dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Exchange a one-time code for this host's token
    #[command(
        after_help = "The code comes from \"highwater hosts add\" on the server. Exit codes: 0 enrolled; 1 refused, or the \
                            server does not answer."
    )]
    Enrol {
        /// https://HOST:PORT of a worker
        #[arg(long, value_name = "URL")]
        server: String,
        #[arg(long)]
        code: String,
        #[command(flatten)]
        dir: Dir,
    },
    Run(duty::Args),
    /// What waits, what was refused, what runs; asks no server
    Status {
        #[command(flatten)]
        dir: Dir,
    },
    /// Draw what a run of a group would do, and why; does nothing
    #[command(
        after_help = "The Mermaid chart can be pasted into most wikis. Exit codes: 0 drawn; 2 unknown group."
    )]
    Plan {
        /// Name or id of the group
        group: String,
        #[command(flatten)]
        dir: Dir,
        /// A Mermaid flow chart in place of lines
        #[arg(long)]
        mermaid: bool,
    },
    /// Back a group up now; the report goes into the outbox
    #[command(
        after_help = "Exit codes: 0 succeeded, perhaps with warnings, or a hook or gate said that there is nothing to \
                            do; 1 failed; 5 an agent runs on this directory; 130 interrupted."
    )]
    Backup {
        /// Name or id of the group
        group: String,
        #[command(flatten)]
        dir: Dir,
        /// As plan: say what would run, and run nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Read an archive of a directory repository back and compare its digest
    Verify {
        record: RecordId,
        /// Directory of the repository
        #[arg(long, value_name = "DIR")]
        repository: PathBuf,
    },
    /// Restore an archive of a directory repository into a new place
    #[command(
        after_help = "Refused: an archive of another group, and a target that is there and not empty. The target \
                            appears when the last byte was read and the digest is right."
    )]
    Restore {
        record: RecordId,
        /// Directory of the repository
        #[arg(long, value_name = "DIR")]
        repository: PathBuf,
        /// Name or id of the group that the archive is of
        #[arg(long)]
        group: String,
        /// Where to: a tree for a directory, a file for a command's output
        #[arg(long, value_name = "PATH")]
        to: PathBuf,
    },
    /// The agent's configuration
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Read agent.toml and what the server sent, and say what is wrong with them
    Check {
        #[command(flatten)]
        dir: Dir,
    },
}

impl Args {
    /// How the log is to look, for a service; none for a command that ends by itself.
    pub fn log_format(&self) -> Option<logging::Form> {
        match &self.action {
            Action::Run(args) => Some(args.log_format()),
            _ => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// What the directory, the repository and the settings say.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    match args.action {
        Action::Enrol { server, code, dir } => {
            let enrolled = enrol::enrol(&dir.dir, &server, &code).await?;
            match global.format {
                Format::Json => {
                    say!(
                        "{}",
                        json!({"schema_version": SCHEMA_VERSION, "host": enrolled.host, "name": enrolled.name})
                    );
                }
                Format::Text => say!("enrolled as {}; now \"highwater agent run\"", enrolled.name),
            }
            Ok(Exit::Done)
        }
        Action::Run(args) => duty::run(args, shutdown).await,
        Action::Status { dir } => status(global.format, &dir.dir),
        Action::Plan { group, dir, mermaid } => draw(global.format, &dir.dir, &group, mermaid),
        Action::Backup { group, dir, dry_run: true } => draw(global.format, &dir.dir, &group, false),
        Action::Backup { group, dir, dry_run: false } => {
            backup(global.format, dir.dir, &group, shutdown).await
        }
        Action::Verify { record, repository } => {
            let manifest = archive::verify(&repository, record).map_err(AgentError::from)?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "manifest": manifest})),
                Format::Text => say!("{record}: {} bytes are as they were stored", manifest.stored_bytes),
            }
            Ok(Exit::Done)
        }
        Action::Restore { record, repository, group, to } => {
            let guard = archive::Guard { group };
            let restored = archive::restore(&repository, record, &guard, &to);
            let manifest = restored.map_err(AgentError::from)?;
            match global.format {
                Format::Json => {
                    say!("{}", json!({"schema_version": SCHEMA_VERSION, "manifest": manifest, "to": to}))
                }
                Format::Text => {
                    say!("{record}: {} bytes restored to {}", manifest.source_bytes, to.display())
                }
            }
            Ok(Exit::Done)
        }
        Action::Config { action: ConfigAction::Check { dir } } => check(global.format, &dir.dir),
    }
}

fn draw(format: Format, root: &std::path::Path, group: &str, mermaid: bool) -> anyhow::Result<Exit> {
    let task = by_hand::task(root, group)?.into_iter().next().context("the group goes to no repository")?;
    let drawn = forecast::draw(&task)?;
    match format {
        Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "actions": drawn.actions})),
        Format::Text if mermaid => say!("{}", drawn.mermaid.trim_end()),
        Format::Text => say!("{}", drawn.text.trim_end()),
    }
    Ok(Exit::Done)
}

async fn backup(format: Format, root: PathBuf, group: &str, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let tasks = by_hand::task(&root, group)?;
    let outbox = Arc::new(Outbox::open(&root, Bounds::default(), clock::local_now())?);
    let mut worst = Exit::Done;
    for task in tasks {
        let (job, record, repository) = (task.job, task.record, task.repository.url.clone());
        let verdict = by_hand::run(task, &outbox, shutdown).await?;
        match format {
            Format::Json => say!(
                "{}",
                json!({
                    "schema_version": SCHEMA_VERSION, "job": job, "record": record, "repository": repository,
                    "state": verdict.state, "error": verdict.error,
                })
            ),
            Format::Text => {
                let why = verdict.error.map(|error| format!(": {error}")).unwrap_or_default();
                say!("{group}: {} (job {job}, record {record}){why}", verdict.state);
            }
        }
        let exit = match verdict.state {
            Ended::Succeeded | Ended::Warned | Ended::Skipped => Exit::Done,
            Ended::Failed | Ended::TimedOut | Ended::Cancelled => Exit::Unexpected,
            Ended::Interrupted => Exit::Interrupted,
        };
        worst = if worst == Exit::Done { exit } else { worst };
    }
    Ok(worst)
}

fn status(format: Format, root: &std::path::Path) -> anyhow::Result<Exit> {
    let found = agent_status::look(root)?;
    match format {
        Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "agent": found})),
        Format::Text => {
            say!(
                "agent      {}",
                found.holder.map_or("not running".to_owned(), |pid| format!("process {pid}"))
            );
            say!("epoch      {}", found.epoch);
            say!("waiting    {} ({} bytes)", found.outbox.pending, found.outbox.pending_bytes);
            if let Some(oldest) = found.outbox.oldest_at {
                say!("oldest     {}", oldest.format("%F %T UTC"));
            }
            say!("conflict   {}", found.outbox.conflict);
            say!("dead       {}", found.outbox.dead);
            found.runs.iter().for_each(|run| say!("runs       job {}", run.job));
        }
    }
    // Refused reports want a person.
    let is_well = found.outbox.conflict + found.outbox.dead == 0;
    Ok(if is_well { Exit::Done } else { Exit::Unexpected })
}

fn check(format: Format, root: &std::path::Path) -> anyhow::Result<Exit> {
    let settings = Settings::read(root).map_err(AgentError::from)?;
    let found = config::read(root)?;
    let faults = found.as_ref().map(|config| config::faults(config, &settings)).unwrap_or_default();
    match format {
        Format::Json => say!(
            "{}",
            json!({"schema_version": SCHEMA_VERSION, "has_config": found.is_some(), "faults": faults})
        ),
        Format::Text => {
            if found.is_none() {
                say!("no configuration from a server yet; \"highwater agent run\" fetches it");
            }
            faults.iter().for_each(|fault| say!("{fault}"));
            if faults.is_empty() {
                say!("ok");
            }
        }
    }
    if faults.is_empty() { Ok(Exit::Done) } else { Err(AgentError::Faulty { count: faults.len() }.into()) }
}
