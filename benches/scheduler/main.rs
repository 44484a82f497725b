//! What the worker costs, beside what plain Postgres costs in the same run; `docs/PERFORMANCE.md` explains the numbers.
//!
//! `cargo bench --bench scheduler -- [--jobs N] [--seconds N] [batch] [heartbeat] [pickup] [idle] [fresh]`. It starts a
//! server of its own and removes its data; with `HIGHWATER_BENCH_URL` it uses that one, whose schemas `bench` and
//! `highwater` it replaces. The table goes to stderr, one JSON document to stdout.

mod batch;
mod heartbeat;
mod pickup;
#[expect(dead_code, reason = "the benchmark of rollups reads more of it")]
#[path = "../rollup/place.rs"]
mod place;
mod processor;
mod report;
mod service;

use clap::{Parser, ValueEnum};
use place::Place;
use report::Report;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Trivial jobs from claim to finish
    Batch,
    Heartbeat,
    /// From `job run-now` to the claim
    Pickup,
    /// A worker with nothing to do
    Idle,
    /// A worker under 5,000 events a second
    Fresh,
}

/// Measures the worker, each figure beside its bound.
#[derive(Debug, Parser)]
struct Args {
    /// Trivial jobs
    #[arg(long, default_value_t = 20_000)]
    jobs: i64,
    /// How long the worker is watched
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// What to measure; nothing named means everything
    measures: Vec<Measure>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wants = |measure| args.measures.is_empty() || args.measures.contains(&measure);
    let place = Place::open().await?;
    let mut report = Report::default();
    if wants(Measure::Idle) {
        service::idle(&place, args.seconds, &mut report).await?;
    }
    if wants(Measure::Fresh) {
        service::fresh(&place, args.seconds, &mut report).await?;
    }
    if wants(Measure::Pickup) {
        pickup::run(&place, &mut report).await?;
    }
    if wants(Measure::Batch) {
        batch::run(&place, args.jobs, &mut report).await?;
    }
    if wants(Measure::Heartbeat) {
        heartbeat::run(&place, &mut report).await?;
    }
    report.print();
    Ok(())
}
