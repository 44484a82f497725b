//! `highwater rollup`: definitions and their life.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::progress::Progress;
use super::{status as status_command, table, when};
use crate::cli::{Format, Global};
use crate::command::say::{say, tell};
use crate::db::connect;
use crate::ground::digits::{counted, grouped};
use crate::ground::exit::Exit;
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::rollup::definition::Definition;
use crate::rollup::draft::{self, Draft};
use crate::rollup::install::{self, Installed};
use crate::rollup::ledger::Range;
use crate::rollup::status::{self, SCHEMA_VERSION};
use crate::rollup::watch::Open;
use crate::rollup::{RollupName, UsageError, backfill, drain, drop, verify};

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
    Verify(Verify),
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

/// Compare a rollup with its source, row by row
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 no difference; 4 drift, or a repair was needed.")]
struct Verify {
    name: RollupName,
    /// Only from here on: 2024-03, 2024-03-15 or 2024-03-15T12:00:00Z, on the grain
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    from: Option<DateTime<Utc>>,
    /// Only before this
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    to: Option<DateTime<Utc>>,
    /// Compare this many random months
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"], value_parser = clap::value_parser!(i32).range(1..))]
    sample: Option<i32>,
    /// Make differing months right
    #[arg(long)]
    repair: bool,
    /// Connections that compare [default: half the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: Option<u16>,
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
        Command::Mark(args) => super::mark::run(global, args).await,
        Command::Sql(args) => super::script::run(global, args).await,
        Command::Diff(args) => super::alter::diff(global, args).await,
        Command::Alter(args) => super::alter::alter(global, args, shutdown).await,
        Command::Pause { name } => super::pause::run(global, &name, true).await,
        Command::Resume { name } => super::pause::run(global, &name, false).await,
        Command::Read(args) => super::read::run(global, args).await,
        Command::Verify(args) => prove(global, args, shutdown).await,
        Command::Drop { name, yes } => remove(global, &name, yes, shutdown).await,
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

async fn prove(global: &Global, args: Verify, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let options = verify::Options {
        range: Range { from: args.from, to: args.to },
        sample: args.sample,
        parallel: args.parallel.map_or_else(backfill::default_parallel, usize::from),
        repair: args.repair,
    };
    // One JSON document on stdout: progress would be a second one.
    let progress = Progress::new(Format::Text);
    let report =
        verify::run(&target, "rollup verify", &args.name, &options, &progress, &Open, shutdown).await?;
    if global.format == Format::Json {
        let mut document = serde_json::to_value(&report)?;
        document["schema_version"] = json!(SCHEMA_VERSION);
        say!("{document}");
    } else {
        print_proof(&report);
    }
    Ok(match (report.drifted, report.interrupted) {
        (1.., _) => Exit::Drift,
        (_, true) => Exit::Interrupted,
        (_, false) => Exit::Done,
    })
}

fn print_proof(report: &verify::Report) {
    let name = &report.rollup;
    if report.drifted > 0 {
        let mut table = table::plain(["KIND", "KEY", "ROLLUP", "SOURCE"]);
        for example in &report.examples {
            let field = |name: &str| {
                example.get(name).filter(|value| !value.is_null()).map_or("-".to_owned(), ToString::to_string)
            };
            let kind = example.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
            table.add_row([kind.to_owned(), field("key"), field("rollup"), field("source")]);
        }
        table::print(&table);
    }
    say!(
        "{name}: {} rows of {} months compared, {} differ",
        grouped(report.rows),
        report.slices,
        grouped(report.drifted)
    );
    if report.interrupted {
        say!("{name}: interrupted before every month was compared");
    }
    if report.open > 0 {
        say!("{name}: {} rows lie under open marks; the next drain makes them right", grouped(report.open));
    }
    if report.pending > 0 {
        say!("{name}: {} months are not backfilled and were not compared", report.pending);
    }
    if let Some(rows) = report.repaired {
        say!("{name}: repaired, {} rows written", grouped(rows));
    } else if report.drifted > 0 {
        say!("{name}: \"highwater rollup verify {name} --repair\" makes them right");
    }
}

/// Asks on the terminal; `None` when a signal came instead of an answer.
async fn ask(question: &str, shutdown: &Shutdown) -> Option<String> {
    let mut stderr = std::io::stderr();
    // A terminal that cannot be written to will not be read from either.
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let (answered, answer) = tokio::sync::oneshot::channel();
    // A thread of its own, which the process does not wait for: a read from a terminal cannot be cancelled.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = answered.send(read.map(|_| line).unwrap_or_default());
    });
    tokio::select! {
        line = answer => Some(line.unwrap_or_default()),
        () = shutdown.at_least(Urgency::Soon) => None,
    }
}

async fn remove(global: &Global, name: &RollupName, yes: bool, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup drop").await?;
    let entry = install::entry(&session, name).await?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            bail!(UsageError(format!(
                "this removes table {} and all its rows; add --yes to do so",
                entry.target
            )));
        }
        match ask(&format!("remove table {} and all its rows? [y/N] ", entry.target), shutdown).await {
            None => return Ok(Exit::Interrupted),
            Some(answer) if matches!(answer.trim(), "y" | "Y" | "yes") => {}
            Some(_) => {
                say!("{name}: left as it is");
                return Ok(Exit::Done);
            }
        }
    }
    drop::run(&mut session, name).await?;
    match global.format {
        Format::Json => {
            say!("{}", json!({"schema_version": SCHEMA_VERSION, "rollup": name.as_str(), "dropped": true}));
        }
        Format::Text => say!("{name}: removed; {} stays as it was", entry.source),
    }
    Ok(Exit::Done)
}
