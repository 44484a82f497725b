//! What highwater costs, beside what plain Postgres costs in the same run; `docs/PERFORMANCE.md` explains the numbers.
//!
//! `cargo bench --bench rollup -- [--events N] [--repeat N] [fill] [drain] [scattered] [hot] [live] [many] [capture] [memory]`.
//! It starts a server of its own and removes its data; with `HIGHWATER_BENCH_URL` it uses that one, whose schemas `bench`
//! and `highwater` it replaces. The table goes to stderr, one JSON document to stdout.

mod args;
mod capture;
mod clock;
mod data;
mod drain;
mod fill;
mod hot;
mod live;
mod many;
mod place;
mod report;
mod scattered;

use args::{Args, Measure};
use place::Place;
use report::Report;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::read();
    let place = Place::open().await?;
    let mut report = Report::default();
    if args.wants(Measure::Fill) || args.wants(Measure::Memory) {
        fill::run(&place, &args, &mut report).await?;
    }
    if args.wants(Measure::Drain) {
        drain::run(&place, &args, &mut report).await?;
    }
    if args.wants(Measure::Scattered) {
        scattered::run(&place, &args, &mut report).await?;
    }
    if args.wants(Measure::Hot) {
        hot::run(&place, &args, &mut report).await?;
    }
    if args.wants(Measure::Live) {
        live::run(&place, &args, &mut report).await?;
    }
    if args.wants(Measure::Many) {
        many::run(&place, &args, &mut report).await?;
    }
    if args.wants(Measure::Capture) {
        capture::run(&place, &args, &mut report).await?;
    }
    report.print(&args)
}
