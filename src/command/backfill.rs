//! `highwater backfill`: fills pending months by hand.

use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::progress::Progress;
use super::{table, when};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::digits::{counted, grouped};
use crate::ground::exit::Exit;
use crate::ground::shutdown::Shutdown;
use crate::rollup::backfill::{self, End, Options, Order, Report};
use crate::rollup::estimate::{self, Estimate};
use crate::rollup::ledger::{self, Range};
use crate::rollup::throttle::Limits;
use crate::rollup::watch::Open;
use crate::rollup::{RollupName, UsageError};

/// Months of the thousand years before now: more would leave the calendar.
const MOST_MONTHS: i64 = 12_000;

/// Fill the months of a rollup that are not complete yet, newest first
///
/// What is filled stays: after Ctrl-C, a crash or --max-duration the same command goes on with the months that are left.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater backfill usage_hourly
  highwater backfill usage_hourly --months-back 3 --parallel 2
  highwater backfill usage_hourly --from 2024-01 --to 2025-01 --dry-run
  highwater backfill usage_hourly --max-duration 20m --sleep-between-slices 500ms
  highwater backfill usage_hourly --max-load 8 --max-wal 16

Exit codes: 0 every requested month is complete; 5 another backfill runs (--no-wait); 7 a month failed;
11 --max-duration ran out; 130 interrupted.")]
pub struct Args {
    /// Rollups to fill; see "highwater rollup list"
    #[arg(required = true, value_name = "NAME")]
    names: Vec<RollupName>,
    /// Only months that end after this: 2024-03, 2024-03-15 or 2024-03-15T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    from: Option<DateTime<Utc>>,
    /// Only months that begin before this
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    to: Option<DateTime<Utc>>,
    /// Only the current month and this many before it, by the database's clock
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"], value_parser = clap::value_parser!(u32).range(0..=MOST_MONTHS))]
    months_back: Option<u32>,
    /// Connections that fill months [default: half the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: Option<u16>,
    /// Pause of each connection after a month, such as 500ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "0s")]
    sleep_between_slices: Duration,
    /// Begin no month after this long and exit 11
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    max_duration: Option<Duration>,
    /// Fill a month that would take one transaction longer than this in parts
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "30s")]
    max_slice_time: Duration,
    /// Wait while this many sessions are at work beside highwater's; slow down from 70 % on
    #[arg(long, value_name = "SESSIONS", value_parser = clap::value_parser!(u32).range(1..))]
    max_load: Option<u32>,
    /// Wait while a replica is further behind than this; 0s never waits for one
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "30s")]
    max_lag: Duration,
    /// Wait while the server writes more WAL than this in a second, in MiB
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    max_wal: Option<u32>,
    /// Which months come first
    #[arg(long, value_enum, default_value_t = OrderFlag::Newest)]
    order: OrderFlag,
    /// Say what would be done: months, rows, time, disk and WAL
    #[arg(long)]
    dry_run: bool,
    /// Rebuild complete months too, by difference: rows that are right are not written
    #[arg(long)]
    restart: bool,
    /// Exit 5 at once when another backfill of the rollup runs
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OrderFlag {
    Newest,
    Oldest,
}

impl Args {
    fn options(&self, range: Range) -> Options {
        Options {
            range,
            parallel: self.parallel.map_or_else(backfill::default_parallel, usize::from),
            sleep: self.sleep_between_slices,
            max_duration: self.max_duration,
            order: match self.order {
                OrderFlag::Newest => Order::Newest,
                OrderFlag::Oldest => Order::Oldest,
            },
            longest_fill: self.max_slice_time,
            restart: self.restart,
            limits: Limits {
                load: self.max_load.map(f64::from),
                lag: (!self.max_lag.is_zero()).then_some(self.max_lag),
                wal_bytes_per_second: self.max_wal.map(|mib| u64::from(mib) << 20),
            },
            wait: self.no_wait.then_some(Duration::ZERO),
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// What connecting and filling say.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        bail!(UsageError(format!("--from {from} is not before --to {to}")));
    }
    let target = global.target().await?;
    let mut session = connect::connect(&target, "backfill").await?;
    let range = match args.months_back {
        Some(months) => ledger::months_back(&session, months).await?,
        None => Range { from: args.from, to: args.to },
    };
    if args.dry_run {
        let mut estimates = Vec::with_capacity(args.names.len());
        for name in &args.names {
            estimates.push(estimate::read(&mut session, name, range, args.restart).await?);
        }
        print_estimates(global.format, &estimates)?;
        return Ok(Exit::Done);
    }
    drop(session);
    let progress = Progress::new(global.format);
    let mut options = args.options(range);
    let began = std::time::Instant::now();
    let mut exit = Exit::Done;
    for name in &args.names {
        let report = backfill::run(&target, "backfill", name, &options, &progress, &Open, shutdown)
            .await
            .with_context(|| format!("backfill of {name}"))?;
        print_report(global.format, &report);
        exit = match report.end {
            End::Complete => exit,
            End::Paused => Exit::Paused,
            End::Interrupted => Exit::Interrupted,
        };
        if report.end != End::Complete {
            break;
        }
        options.max_duration = args.max_duration.map(|limit| limit.saturating_sub(began.elapsed()));
    }
    Ok(exit)
}

fn print_estimates(format: Format, estimates: &[Estimate]) -> anyhow::Result<()> {
    if format == Format::Json {
        say!("{}", serde_json::to_string(&json!({"schema_version": 1, "estimates": estimates}))?);
        return Ok(());
    }
    let mut table = table::plain(["ROLLUP", "MONTHS LEFT", "COMPLETE", "SOURCE ROWS", "TIME", "DISK", "WAL"]);
    for one in estimates {
        let unknown = || "unknown".to_owned();
        let time = one.seconds.map(|seconds| {
            let time = humantime::format_duration(Duration::from_secs(seconds.ceil() as u64));
            if one.is_measured_rate { format!("~{time}") } else { format!("~{time} (assumed speed)") }
        });
        table.add_row([
            one.rollup.clone(),
            one.slices_pending.map_or("not counted yet".to_owned(), grouped),
            grouped(one.slices_complete),
            one.source_rows.map_or_else(unknown, |rows| format!("~{}", grouped(rows))),
            time.unwrap_or_else(unknown),
            one.disk_bytes.map_or_else(unknown, bytes),
            one.wal_bytes.map_or_else(unknown, bytes),
        ]);
    }
    table::print(&table);
    say!("Nothing was changed. Times are for one connection.");
    Ok(())
}

fn bytes(count: i64) -> String {
    format!("~{}", indicatif::HumanBytes(u64::try_from(count).unwrap_or_default()))
}

fn print_report(format: Format, report: &Report) {
    let end = match report.end {
        End::Complete => "complete",
        End::Paused => "paused",
        End::Interrupted => "interrupted",
    };
    if format == Format::Json {
        let document = json!({
            "event": "report", "rollup": report.rollup.as_str(), "end": end, "slices_filled": report.filled,
            "rows_written": report.rows, "slices_left": report.left, "slices_left_in_all": report.left_in_all,
            "duration_ms": report.took.as_millis() as u64,
        });
        say!("{document}");
        return;
    }
    let took = humantime::format_duration(Duration::from_millis(report.took.as_millis() as u64));
    say!(
        "{}: {} filled, {} written in {took}",
        report.rollup,
        counted(report.filled as i64, "month"),
        counted(report.rows, "row")
    );
    match report.end {
        End::Complete if report.left_in_all > 0 => say!(
            "{0}: coverage is partial, {1} left to fill; \"highwater backfill {0}\" does so",
            report.rollup,
            counted(report.left_in_all, "month")
        ),
        End::Complete => say!("{}: every month is complete", report.rollup),
        End::Paused | End::Interrupted => say!(
            "{0}: {end} with {1} left; \"highwater backfill {0}\" goes on from here",
            report.rollup,
            counted(report.left as i64, "month")
        ),
    }
}
