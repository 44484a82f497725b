//! `highwater rollup diff` and `alter`: from one definition to another.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::progress::Progress;
use super::script::read;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::digits::grouped;
use crate::ground::exit::Exit;
use crate::ground::shutdown::Shutdown;
use crate::rollup::alter::{self, End};
use crate::rollup::backfill;
use crate::rollup::diff::{self, Change, Comparison};
use crate::rollup::status::SCHEMA_VERSION;

/// Compare a definition file with the installed rollup of its name
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 the same; 4 they differ.")]
pub struct Diff {
    /// Definition file (TOML)
    file: PathBuf,
}

/// Bring an installed rollup to the definition in a file, while its readers and writers go on
///
/// Another key, measure, grain or query is built beside the old one, backfilled, proven, and swapped in. Views over the
/// rollup and rights on it are kept. Interrupted or killed, the same command goes on from what is there.
#[derive(Debug, clap::Args)]
pub struct Alter {
    /// Definition file (TOML)
    file: PathBuf,
    /// Show what would be done and stop
    #[arg(long)]
    dry_run: bool,
    /// Connections that fill and compare months [default: half the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: Option<u16>,
    /// How long to wait while another alter of the rollup runs [default: as long as it takes]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// Do not wait while another alter of the rollup runs: exit 5
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

/// Runs `diff`.
///
/// # Errors
///
/// What reading the file, connecting and the engine say.
pub async fn diff(global: &Global, args: Diff) -> anyhow::Result<Exit> {
    let file = read(&args.file)?;
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup diff").await?;
    let comparison = diff::compare(&mut session, &file).await?;
    show(global.format, &comparison)?;
    Ok(if comparison.change == Change::None { Exit::Done } else { Exit::Drift })
}

/// Runs `alter`.
///
/// # Errors
///
/// What reading the file, connecting and the engine say.
pub async fn alter(global: &Global, args: Alter, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let file = read(&args.file)?;
    let target = global.target().await?;
    if args.dry_run {
        let mut session = connect::connect(&target, "rollup alter").await?;
        show(global.format, &diff::compare(&mut session, &file).await?)?;
        return Ok(Exit::Done);
    }
    let options = alter::Options {
        parallel: args.parallel.map_or_else(backfill::default_parallel, usize::from),
        wait: if args.no_wait { Some(Duration::ZERO) } else { args.wait },
    };
    // One JSON document on stdout: progress would be a second one.
    let progress = Progress::new(Format::Text);
    let report = alter::run(&target, "rollup alter", &file, &options, &progress, shutdown).await?;
    let name = &file.name;
    match (global.format, report.end) {
        (Format::Json, _) => {
            let mut document = serde_json::to_value(&report)?;
            document["schema_version"] = json!(SCHEMA_VERSION);
            say!("{document}");
        }
        (Format::Text, End::Already) => say!("{name}: this very definition is installed already"),
        (Format::Text, End::InPlace) => say!("{name}: altered in place; its rows are as they were"),
        (Format::Text, End::Swapped) => {
            say!("{name}: altered; {} rows, every one equal to the source", grouped(report.rows));
        }
        (Format::Text, End::Interrupted) => {
            say!("{name}: interrupted; the rollup is as it was, and the same command goes on from here");
        }
    }
    Ok(if report.end == End::Interrupted { Exit::Interrupted } else { Exit::Done })
}

fn show(format: Format, comparison: &Comparison) -> anyhow::Result<()> {
    let name = &comparison.rollup;
    if format == Format::Json {
        let mut document = serde_json::to_value(comparison)?;
        document["schema_version"] = json!(SCHEMA_VERSION);
        say!("{document}");
        return Ok(());
    }
    for difference in &comparison.differences {
        say!("{}", difference.what);
        for (sign, side) in [('-', &difference.installed), ('+', &difference.file)] {
            for line in side.iter().flat_map(|text| text.lines()) {
                say!("  {sign} {line}");
            }
        }
    }
    match comparison.change {
        Change::None => say!("{name}: the file is what is installed"),
        Change::Text => say!("{name}: only comments and layout differ; alter records the text"),
        Change::InPlace => say!("{name}: alter changes this in place"),
        Change::Rebuild => say!("{name}: alter builds this beside the rollup, proves it and swaps it in"),
    }
    Ok(())
}
