//! `highwater status`: one screen, and an exit code for a monitor.

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::digits::grouped;
use crate::ground::exit::Exit;
use crate::rollup::status::{self, Health, RollupStatus, Status};

/// Show every rollup: watermark, open marks, coverage, and what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all is well; 1 warning; 2 critical; 3 highwater is not installed.")]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say.
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "status").await?;
    let status = status::read(&mut session).await?;
    match global.format {
        Format::Json => say!("{}", serde_json::to_string(&status)?),
        Format::Text => print(&status),
    }
    Ok(match status.health {
        Health::Ok => Exit::Done,
        Health::Warning => Exit::Unexpected,
        Health::Critical => Exit::Usage,
    })
}

/// Prints the table and the problems.
pub fn print(status: &Status) {
    if status.rollups.is_empty() {
        say!("no rollup is installed; see \"highwater rollup add --help\"");
        return;
    }
    let mut table =
        table::plain(["ROLLUP", "HEALTH", "WATERMARK (UTC)", "LAG", "MARKS", "MONTHS", "COVERED", "ROWS"]);
    for rollup in &status.rollups {
        table.add_row(row(rollup));
    }
    table::print(&table);
    for rollup in &status.rollups {
        for problem in &rollup.problems {
            say!("{}: {problem}", rollup.name);
        }
    }
}

fn row(rollup: &RollupStatus) -> [String; 8] {
    let month = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.format("%Y-%m").to_string());
    let covered = match (month(rollup.covered_from), rollup.covered_to) {
        (Some(from), Some(to)) => {
            // The last month itself, which people expect, where covered_to is the first instant after it.
            format!("{from} to {}", (to - chrono::TimeDelta::seconds(1)).format("%Y-%m"))
        }
        _ => "nothing".to_owned(),
    };
    let months = if rollup.slices_pending > 0 {
        format!("{} of {}", rollup.slices_complete, rollup.slices_complete + rollup.slices_pending)
    } else {
        rollup.slices_complete.to_string()
    };
    [
        rollup.name.clone(),
        match rollup.health {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Critical => "CRITICAL",
        }
        .to_owned(),
        rollup.watermark_at.map_or("never".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string()),
        rollup.lag_seconds.map_or("-".to_owned(), |lag| {
            humantime::format_duration(std::time::Duration::from_secs(lag.max(0.0) as u64)).to_string()
        }),
        grouped(rollup.open_marks),
        months,
        covered,
        grouped(rollup.rows),
    ]
}
