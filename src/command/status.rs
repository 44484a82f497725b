//! `highwater status`: one screen, and an exit code for a monitor.

use super::table;
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::digits::grouped;
use crate::ground::exit::Exit;
use crate::job::rpo::{self, Gauges, Standing};
use crate::rollup::status::{self, Health, RollupStatus, Status};

/// Show every rollup: watermark, open marks, coverage, and what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all is well; 1 warning; 2 critical; 3 highwater is not installed.")]
pub struct Args {
    /// Also how each group of each host stands: last good backup, next slot, missed slots
    #[arg(long)]
    hosts: bool,
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and reading say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "status").await?;
    let status = status::read(&mut session).await?;
    let gauges = rpo::gauges(&session).await?;
    let standing = if args.hosts || gauges.over_rpo > 0 {
        rpo::standing(&session, None, None).await?
    } else {
        Vec::new()
    };
    match global.format {
        Format::Json => {
            let mut document = serde_json::to_value(&status)?;
            document["backups"] = serde_json::to_value(gauges)?;
            if args.hosts {
                document["hosts"] = serde_json::to_value(&standing)?;
            }
            say!("{document}");
        }
        Format::Text => {
            print(&status);
            backups(&gauges, &standing, args.hosts);
        }
    }
    // A promise that is broken is a warning at least.
    let health = if gauges.over_rpo > 0 { status.health.max(Health::Warning) } else { status.health };
    Ok(match health {
        Health::Ok => Exit::Done,
        Health::Warning => Exit::Unexpected,
        Health::Critical => Exit::Usage,
    })
}

fn backups(gauges: &Gauges, standing: &[Standing], all: bool) {
    let span = |seconds: f64| {
        humantime::format_duration(std::time::Duration::from_secs(seconds.max(0.0) as u64)).to_string()
    };
    if all {
        let at = |instant: Option<chrono::DateTime<chrono::Utc>>| {
            instant.map_or("-".to_owned(), |instant| instant.format("%Y-%m-%d %H:%M").to_string())
        };
        let mut table = table::plain([
            "TENANT",
            "HOST",
            "STATE",
            "GROUP",
            "LAST GOOD (UTC)",
            "AGE",
            "RPO",
            "NEXT SLOT",
            "MISSED",
            "FAILURES",
        ]);
        for one in standing {
            table.add_row([
                one.tenant.clone(),
                one.host.clone(),
                one.host_state.clone(),
                one.group.clone(),
                at(one.last_success_at),
                // To the minute: seconds of a backup's age tell nobody anything.
                span((one.age_seconds / 60.0).floor() * 60.0),
                one.rpo_seconds.map_or("-".to_owned(), |seconds| span(seconds as f64)),
                at(one.next_slot_at),
                one.missed_slots.to_string(),
                one.consecutive_failures.to_string(),
            ]);
        }
        table::print(&table);
    }
    for one in standing.iter().filter(|one| one.is_over_rpo) {
        let promised = span(one.rpo_seconds.unwrap_or_default() as f64);
        say!(
            "{} on {}: last good backup is {} old, promised were {promised}; \"highwater jobs why --host {} --group {}\"",
            one.group,
            one.host,
            span(one.age_seconds),
            one.host,
            one.group
        );
    }
    if gauges.late_schedules > 0 {
        say!(
            "{} schedules wait for their slots to be written; is \"highwater worker\" running?",
            gauges.late_schedules
        );
    }
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
            Health::Ok | Health::Warning if rollup.paused_at.is_some() => "paused",
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
