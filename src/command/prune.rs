//! `highwater prune`: lets raw events of sealed months go, and months of the rollup itself.

use serde_json::json;

use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::digits::counted;
use crate::ground::exit::Exit;
use crate::ground::shutdown::Shutdown;
use crate::rollup::RollupName;
use crate::rollup::prune::{self, BATCH, Options, Report};
use crate::rollup::status::SCHEMA_VERSION;
use crate::rollup::watch::Open;

/// Delete raw events of sealed months, whose values stay, and drop months beyond keep
///
/// What may go is said by keep_source and keep in the definition; the worker does the same once a day.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done; 4 the values of a month would change, nothing of it was deleted; 130 interrupted."
)]
pub struct Args {
    #[arg(required = true, value_name = "NAME")]
    names: Vec<RollupName>,
    /// Say which months would go
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and pruning say.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "prune").await?;
    for name in &args.names {
        let options = Options { dry_run: args.dry_run, batch: BATCH };
        let report = prune::run(&mut session, name, options, &Open, shutdown).await?;
        if global.format == Format::Json {
            let mut document = serde_json::to_value(&report)?;
            document["schema_version"] = json!(SCHEMA_VERSION);
            say!("{document}");
        } else {
            print(&report);
        }
        if report.interrupted {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(Exit::Done)
}

fn print(report: &Report) {
    let name = &report.rollup;
    let would = if report.dry_run { "would be " } else { "" };
    for month in &report.pruned {
        say!(
            "{name}: {} of {} {would}pruned from {}",
            counted(month.rows, "raw event"),
            month.month,
            report.source
        );
    }
    for month in &report.dropped {
        say!("{name}: {} {would}dropped, {}", month.month, counted(month.rows, "row"));
    }
    if report.pruned.is_empty() && report.dropped.is_empty() {
        say!("{name}: nothing is old enough to go");
    }
    if report.interrupted {
        say!("{name}: interrupted; \"highwater prune {name}\" goes on from here");
    }
}
