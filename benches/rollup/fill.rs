//! Backfill beside one plain statement that computes the same rows.

use highwater::db::{DbError, Executor, Session};
use serde_json::json;

use crate::args::{Args, Measure};
use crate::clock::{Clock, Took};
use crate::data::{self, Density, History, Keys, Order};
use crate::place::Place;
use crate::report::{Line, Report};

/// Connections of the backfill: the targets are set for two.
const PARALLEL: &str = "2";

/// Memory that the program may take, whatever the size of the data.
const MEMORY_TARGET_BYTES: f64 = 64.0 * 1024.0 * 1024.0;

/// A backfill to measure, and what is good enough.
struct Case {
    name: &'static str,
    keys: Keys,
    density: Density,
    order: Order,
    /// Largest ratios of the first fill and of the rebuild.
    targets: Option<(f64, f64)>,
}

const CASES: [Case; 5] = [
    Case {
        name: "integers",
        keys: Keys::Integers,
        density: Density::Dense,
        order: Order::Time,
        targets: Some((0.62, 0.60)),
    },
    Case {
        name: "text",
        keys: Keys::Text,
        density: Density::Dense,
        order: Order::Time,
        targets: Some((0.80, 0.80)),
    },
    Case {
        name: "fine",
        keys: Keys::Text,
        density: Density::Fine,
        order: Order::Time,
        targets: Some((0.65, 0.65)),
    },
    Case {
        name: "integers_random",
        keys: Keys::Integers,
        density: Density::Dense,
        order: Order::Random,
        targets: None,
    },
    Case {
        name: "text_random",
        keys: Keys::Text,
        density: Density::Dense,
        order: Order::Random,
        targets: None,
    },
];

/// Runs every case, its bound and both kinds of backfill one after the other in every round.
pub async fn run(place: &Place, args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let session = place.session().await?;
    data::draft(&session, args.events, 365).await?;
    let clock = Clock::new(place).await?;
    let mut peak_bytes = 0;
    // For the memory alone one case is enough.
    let cases = if args.wants(Measure::Fill) { &CASES[..] } else { &CASES[1..2] };
    for case in cases {
        let history = History::named(case.name)?;
        history.make(&session, case.keys, case.density, case.order).await?;
        peak_bytes = peak_bytes.max(measure(place, args, report, &clock, case, &history).await?);
        session.batch(&format!("DROP TABLE {} CASCADE", history.table)).await?;
    }
    report.add(Line {
        what: "memory of highwater backfill".to_owned(),
        bound: "64 MiB".to_owned(),
        ratio: peak_bytes as f64 / MEMORY_TARGET_BYTES,
        processor: None,
        target: Some(1.0),
        medians: json!({"peak_bytes": peak_bytes}),
    });
    Ok(())
}

#[derive(Default)]
struct Times {
    bound_planned: Vec<Took>,
    bound_unsorted: Vec<Took>,
    first: Vec<Took>,
    rebuild: Vec<Took>,
}

/// Measures one case; returns the program's largest memory in bytes.
async fn measure(
    place: &Place,
    args: &Args,
    report: &mut Report,
    clock: &Clock,
    case: &Case,
    history: &History,
) -> anyhow::Result<u64> {
    let mut times = Times::default();
    let mut peak_bytes = 0;
    let name = history.rollup.as_str();
    for _ in 0..args.repeat {
        history.renew(place).await?;
        times.bound_planned.push(bound(place, clock, case, history, "on").await?);
        times.bound_unsorted.push(bound(place, clock, case, history, "off").await?);
        for (arguments, kept) in [
            (&["backfill", name, "--parallel", PARALLEL][..], &mut times.first),
            (&["backfill", name, "--parallel", PARALLEL, "--restart"][..], &mut times.rebuild),
        ] {
            checkpoint(&place.session().await?).await?;
            let begun = clock.begin().await?;
            let run = place.run(arguments).await?;
            let mut took = clock.end(begun).await?;
            took.wall = run.took.as_secs_f64();
            kept.push(took);
            peak_bytes = peak_bytes.max(run.peak_bytes);
        }
    }
    let (planned, unsorted) = (Took::median(&times.bound_planned), Took::median(&times.bound_unsorted));
    let (best, plan) =
        if planned.wall <= unsorted.wall { (planned, "default plan") } else { (unsorted, "enable_sort off") };
    let statement = match case.density {
        Density::Dense => "CREATE TABLE AS",
        Density::Fine => "INSERT into an indexed table",
    };
    for (what, times, target) in [
        ("first fill", &times.first, case.targets.map(|both| both.0)),
        ("rebuild", &times.rebuild, case.targets.map(|both| both.1)),
    ] {
        let took = Took::median(times);
        report.add(Line {
            what: format!("{what}, {}", case.name.replace('_', ", ")),
            bound: format!("{statement} ({plan})"),
            ratio: took.wall / best.wall,
            processor: (best.processor > 0.0).then(|| took.processor / best.processor),
            target,
            medians: json!({"seconds": took.wall, "processor_seconds": took.processor,
                            "bound_seconds": best.wall, "bound_processor_seconds": best.processor}),
        });
    }
    Ok(peak_bytes)
}

/// Times the plain statement: bound A for dense data, bound B for fine.
async fn bound(
    place: &Place,
    clock: &Clock,
    case: &Case,
    history: &History,
    sort: &str,
) -> anyhow::Result<Took> {
    let session = place.session().await?;
    session.batch(&format!("SET enable_sort = {sort}")).await?;
    let statement = match case.density {
        Density::Dense => include_str!("sql/bound_a.sql"),
        Density::Fine => {
            session.batch(&history.filled(include_str!("sql/bound_b_table.sql"))).await?;
            include_str!("sql/bound_b.sql")
        }
    };
    checkpoint(&session).await?;
    let begun = clock.begin().await?;
    session.batch(&history.filled(statement)).await?;
    drop(session);
    let took = clock.end(begun).await?;
    place.session().await?.batch("DROP TABLE bench.bound").await?;
    Ok(took)
}

/// So that no measure pays for what the one before it has left to write.
async fn checkpoint(session: &Session) -> Result<(), DbError> {
    session.batch("CHECKPOINT").await
}
