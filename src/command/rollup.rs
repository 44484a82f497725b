//! `highwater rollup`: definitions and their life.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use super::status as status_command;
use crate::cli::{Format, Global};
use crate::command::say::{say, tell};
use crate::db::connect;
use crate::ground::digits::counted;
use crate::ground::exit::Exit;
use crate::ground::shutdown::Shutdown;
use crate::rollup::definition::Definition;
use crate::rollup::draft::{self, Draft};
use crate::rollup::install::{self, Installed};
use crate::rollup::status::{self, SCHEMA_VERSION};
use crate::rollup::{RollupName, UsageError, drain};

/// Definitions of rollups: add, show, keep current, prove, remove
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Add(Add),
    /// All rollups with their state
    List,
    /// One rollup: its definition, coverage and problems
    Show {
        name: RollupName,
    },
    /// Make every marked bucket right, now
    Drain {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<RollupName>,
    },
    Read(super::read::Args),
    Explain(super::explain::Args),
    Mark(super::mark::Args),
    Sql(super::script::Args),
    Diff(super::alter::Diff),
    Alter(super::alter::Alter),
    /// Let the worker leave a rollup alone; changes of its source are kept
    Pause {
        name: RollupName,
    },
    /// Let the worker go on with a paused rollup, which then catches up
    Resume {
        name: RollupName,
    },
    Verify(super::verify::Args),
    /// Remove a rollup, its table included; the source stays, without any trigger of ours
    Drop {
        name: RollupName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Install a rollup from a definition file, or write that file from flags and install it
///
/// History stays to be filled: "highwater backfill NAME".
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater rollup add rollups/orders.toml
  highwater rollup add --table app.orders --time created_at --tenant shop --by country,product --sum amount")]
struct Add {
    /// Definition file (TOML)
    #[arg(value_name = "FILE", required_unless_present = "table", conflicts_with_all = ["table", "time", "tenant", "by", "sum", "grain", "name"])]
    file: Option<PathBuf>,
    /// Source table
    #[arg(long, requires = "time")]
    table: Option<String>,
    /// Its time column
    #[arg(long)]
    time: Option<String>,
    /// Its tenant column
    #[arg(long)]
    tenant: Option<String>,
    /// Columns to group by
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    by: Vec<String>,
    /// Columns to sum; rows are always counted
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    sum: Vec<String>,
    /// 15m, 30m, 1h or 1d
    #[arg(long, default_value = "1h")]
    grain: String,
    /// Name of the rollup [default: TABLE_hourly]
    #[arg(long)]
    name: Option<RollupName>,
    /// Where to write the definition [default: NAME.toml]
    #[arg(long, value_name = "FILE", requires = "table")]
    out: Option<PathBuf>,
    /// Build the index that drains need, CONCURRENTLY, where it is missing
    #[arg(long)]
    create_index: bool,
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and the engine say.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    match args.command {
        Command::Add(args) => add(global, args).await,
        Command::List => list(global).await,
        Command::Show { name } => show(global, &name).await,
        Command::Drain { names } => drain_all(global, &names, shutdown).await,
        Command::Explain(args) => super::explain::run(global, args).await,
        Command::Mark(args) => super::mark::run(global, args).await,
        Command::Sql(args) => super::script::run(global, args).await,
        Command::Diff(args) => super::alter::diff(global, args).await,
        Command::Alter(args) => super::alter::alter(global, args, shutdown).await,
        Command::Pause { name } => super::pause::run(global, &name, true).await,
        Command::Resume { name } => super::pause::run(global, &name, false).await,
        Command::Read(args) => super::read::run(global, args).await,
        Command::Verify(args) => super::verify::run(global, args, shutdown).await,
        Command::Drop { name, yes } => super::drop::run(global, &name, yes, shutdown).await,
    }
}

async fn add(global: &Global, args: Add) -> anyhow::Result<Exit> {
    let (text, origin) = match (args.file, args.table, args.time) {
        (Some(file), _, _) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| UsageError(format!("cannot read {}: {error}", file.display())))?;
            (text, file)
        }
        (None, Some(table), Some(time)) => {
            let name = match args.name {
                Some(name) => name,
                None => draft::name_for(&table, &args.grain).map_err(UsageError)?,
            };
            let out = args.out.unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
            let draft = Draft {
                name,
                table,
                time,
                tenant: args.tenant,
                by: args.by,
                sum: args.sum,
                grain: args.grain,
            };
            let text = draft.text();
            Definition::parse(&text, &out.display().to_string())?;
            write_new(&out, &text)?;
            (text, out)
        }
        (None, _, _) => bail!(UsageError("give a definition file, or --table and --time".to_owned())),
    };
    let definition = Definition::parse(&text, &origin.display().to_string())?;
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup add").await?;
    if args.create_index {
        install::create_index(&mut session, &definition).await?;
    }
    let installed = install::install_now(&mut session, &definition).await?;
    let name = &definition.name;
    match global.format {
        Format::Json => say!(
            "{}",
            json!({"schema_version": SCHEMA_VERSION, "rollup": name.as_str(), "installed": installed == Installed::New})
        ),
        Format::Text if installed == Installed::New => {
            say!("{name}: installed; every change from now on counts");
            say!("next: highwater backfill {name}");
        }
        Format::Text => {
            say!("{name}: this very definition is installed already; its capture and functions were renewed")
        }
    }
    Ok(Exit::Done)
}

/// Writes a definition file. One with the same text, from a try that was refused later on, is left as it is.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    match std::fs::File::create_new(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))?;
            tell!("wrote {}", path.display());
            Ok(())
        }
        Err(_) if std::fs::read_to_string(path).is_ok_and(|there| there == text) => Ok(()),
        Err(error) => bail!(UsageError(format!(
            "cannot write {}: {error}; choose another file with --out",
            path.display()
        ))),
    }
}

async fn list(global: &Global) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup list").await?;
    let status = status::read(&mut session).await?;
    match global.format {
        Format::Json => say!("{}", serde_json::to_string(&status)?),
        Format::Text => status_command::print(&status),
    }
    Ok(Exit::Done)
}

async fn show(global: &Global, name: &RollupName) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup show").await?;
    let shape = install::load(&mut session, name).await?;
    let mut status = status::read(&mut session).await?;
    status.rollups.retain(|rollup| rollup.name == name.as_str());
    if global.format == Format::Json {
        let document = json!({
            "schema_version": SCHEMA_VERSION, "rollup": status.rollups.first(), "definition": shape.definition.text,
            "definition_sha256": shape.definition.sha256(),
        });
        say!("{document}");
        return Ok(Exit::Done);
    }
    status_command::print(&status);
    say!("source {}, target {}", shape.source.table, shape.target);
    say!("definition (sha256 {}):\n{}", shape.definition.sha256(), shape.definition.text.trim_end());
    Ok(Exit::Done)
}

async fn drain_all(global: &Global, names: &[RollupName], shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup drain").await?;
    for name in names {
        let report =
            drain::run(&mut session, name, shutdown).await.with_context(|| format!("drain of {name}"))?;
        match global.format {
            Format::Json => say!(
                "{}",
                json!({
                    "schema_version": SCHEMA_VERSION, "rollup": name.as_str(), "marks": report.marks,
                    "buckets": report.buckets, "rows_written": report.rows, "slices_pending": report.pending,
                    "complete": report.is_whole,
                })
            ),
            Format::Text => {
                say!(
                    "{name}: {}, {}, {} written",
                    counted(report.marks, "mark"),
                    counted(report.buckets, "bucket"),
                    counted(report.rows, "row")
                );
                if report.pending > 0 {
                    say!(
                        "{name}: {} months are not backfilled; \"highwater backfill {name}\"",
                        report.pending
                    );
                }
            }
        }
        if !report.is_whole {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(Exit::Done)
}
