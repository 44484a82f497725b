//! `highwater rollup verify`: a rollup held against its source.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::progress::Progress;
use super::{table, when};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::ground::digits::grouped;
use crate::ground::exit::Exit;
use crate::ground::shutdown::Shutdown;
use crate::rollup::ledger::Range;
use crate::rollup::status::SCHEMA_VERSION;
use crate::rollup::watch::Open;
use crate::rollup::{RollupName, backfill, verify};

/// Compare a rollup with its source, row by row
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 no difference; 4 drift, or a repair was needed.")]
pub struct Args {
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
/// What connecting and the proof say; drift is no error but an exit code.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
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
