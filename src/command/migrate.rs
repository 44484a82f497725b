//! `highwater migrate`: the schema, and an application's, brought up to date.

mod text;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use super::teller::{Teller, print_json};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::ground::exit::Exit;
use crate::ground::shutdown::Shutdown;
use crate::migrate::plan;
use crate::migrate::scope::HistoryTable;
use crate::migrate::setup::Setup;
use crate::migrate::status;
use crate::migrate::up::{self, Options};
use crate::migrate::{MigrateError, Pooler, Wait, verify};

/// Longest wait for another run, unless `--wait` says otherwise: longer than most upgrades take, shorter than a
/// deployment's patience.
const DEFAULT_WAIT: &str = "10m";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show what would run, what it would lock, and whether a guard would refuse now
    Plan {
        #[command(flatten)]
        files: Files,
        /// Last version to apply: of --dir if given, else of highwater's own
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
    },
    /// Apply what is pending, one version at a time
    Up {
        #[command(flatten)]
        files: Files,
        /// Last version to apply: of --dir if given, else of highwater's own
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
        /// Show the plan and stop
        #[arg(long)]
        dry_run: bool,
        /// How long to wait while another run holds the lock
        #[arg(long, value_name = "DURATION", default_value = DEFAULT_WAIT, value_parser = humantime::parse_duration)]
        wait: Duration,
        /// Do not wait while another run holds the lock: exit 5
        #[arg(long, conflicts_with = "wait")]
        no_wait: bool,
        /// The connection goes through a pool in this mode, which may drop start-up settings
        #[arg(long, value_enum, value_name = "MODE")]
        pooler: Option<PoolerMode>,
    },
    /// List every version, applied or pending
    Status {
        #[command(flatten)]
        files: Files,
        /// Exit 3 when a version is pending, 4 when a file differs from what was applied
        #[arg(long)]
        check: bool,
    },
    /// Compare the files with what was applied: exit 4 when they differ
    Verify {
        #[command(flatten)]
        files: Files,
    },
}

/// Which files, and where their history is.
#[derive(Debug, clap::Args)]
struct Files {
    /// The application's migrations, applied after highwater's own
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Where the application's history is, in refinery's format
    #[arg(long, value_name = "[SCHEMA.]TABLE", default_value = "public.refinery_schema_history")]
    history_table: HistoryTable,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PoolerMode {
    /// One server connection for each client connection
    Session,
}

/// Runs one action and prints its result; with `--format json` an error is a document too.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let result = act(global, args.action, shutdown).await;
    if let (Format::Json, Err(error)) = (global.format, &result)
        && let Some(error) = error.downcast_ref::<MigrateError>()
    {
        print_json(&failure(error))?;
    }
    result
}

async fn act(global: &Global, action: Action, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let with =
        |files: Files| Setup { dir: files.dir, app_history: files.history_table, ..Setup::new(&target) };
    match action {
        Action::Plan { files, to } | Action::Up { files, to, dry_run: true, .. } => {
            let plan = plan::plan(&with(files), to).await?;
            show(global.format, &plan, text::print_plan)?;
            Ok(Exit::Done)
        }
        Action::Up { files, to, wait, no_wait, pooler, .. } => {
            let wait = if no_wait { Wait::No } else { Wait::AtMost(wait) };
            let pooler = pooler.map_or(Pooler::None, |PoolerMode::Session| Pooler::Session);
            let teller = Teller::new(global.format);
            if global.format == Format::Text {
                // An empty DATABASE_URL falls back to the embedded server: nobody should have to guess.
                say!("{target}");
            }
            up::up(&with(files), Options { to, wait, pooler }, shutdown, &teller).await?;
            Ok(Exit::Done)
        }
        Action::Status { files, check } => {
            let status = status::status(&with(files)).await?;
            show(global.format, &status, text::print_status)?;
            Ok(if check { status.check() } else { Exit::Done })
        }
        Action::Verify { files } => {
            let compared = verify::verify(&with(files)).await?;
            show(global.format, &json!({ "compared": compared, "drift": [] }), |out, _| {
                writeln!(out, "{compared} applied versions, and every file is as it was")
            })?;
            Ok(Exit::Done)
        }
    }
}

fn show<T: Serialize>(
    format: Format,
    value: &T,
    print: impl FnOnce(&mut dyn Write, &T) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    match format {
        Format::Json => print_json(value),
        Format::Text => print(&mut stdout().lock(), value).context("cannot write to stdout"),
    }
}

fn failure(error: &MigrateError) -> serde_json::Value {
    let mut document = json!({ "event": "failed", "exit": error.exit().code(), "error": error.to_string() });
    match error {
        MigrateError::BadFiles(problems) => document["problems"] = json!(problems),
        MigrateError::Drift(drift) => document["drift"] = json!(drift),
        MigrateError::Statement { path, place, source, .. } => {
            document["file"] = json!(path);
            document["line"] = json!(place.line);
            document["column"] = json!(place.column);
            document["sqlstate"] = json!(source.code());
        }
        _ => {}
    }
    document
}
