//! Drains after the same number of late events, over a long history and over a short one.

use highwater::db::Executor;
use highwater::ground::shutdown;
use highwater::rollup::drain;
use serde_json::json;

use crate::args::Args;
use crate::clock::Took;
use crate::data::{self, Density, History, Keys, Order};
use crate::place::Place;
use crate::report::{Line, Report};

/// Events that are new before each drain.
const LATE_ROWS: u64 = 5_000;

/// Events of the short histories.
const SHORT_EVENTS: u64 = 200_000;

/// Largest ratio that is good enough.
const TARGET: f64 = 1.5;

/// A history to drain, and the days that it spans.
struct Case {
    history: History,
    days: u32,
    events: u64,
    times: Vec<Took>,
}

/// The long history; a short one of the same density, that is of fewer days; and a thin one of the same days.
pub async fn run(place: &Place, args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let year = 365;
    let short_days = u32::try_from((u64::from(year) * SHORT_EVENTS / args.events).clamp(1, u64::from(year)))?;
    let mut cases = Vec::new();
    for (name, events, days) in [
        ("long", args.events, year),
        ("short", SHORT_EVENTS.min(args.events), short_days),
        ("thin", SHORT_EVENTS.min(args.events), year),
    ] {
        cases.push(Case { history: History::named(name)?, days, events, times: Vec::new() });
    }
    let mut session = place.session().await?;
    for case in &cases {
        data::draft(&session, case.events, case.days).await?;
        case.history.make(&session, Keys::Text, Density::Dense, Order::Time).await?;
        case.history.renew(place).await?;
        place.run(&["backfill", case.history.rollup.as_str()]).await?;
    }
    let (_trigger, calm) = shutdown::channel();
    // One round to warm up, which is not counted.
    for round in 0..=args.repeat {
        for case in &mut cases {
            let late = case
                .history
                .filled(include_str!("sql/late_rows.sql"))
                .replace("{{days}}", &case.days.to_string())
                .replace("{{rows}}", &LATE_ROWS.to_string())
                .replace("{{round}}", &round.to_string());
            session.batch(&late).await?;
            session.batch("CHECKPOINT").await?;
            let measured = Took::measure(&session).await?;
            drain::run(&mut session, &case.history.rollup, &calm).await?;
            let took = measured.end(&session).await?;
            if round > 0 {
                case.times.push(took);
            }
        }
    }
    let medians: Vec<Took> = cases.iter().map(|case| Took::median(&case.times)).collect();
    let long = medians[0];
    for (short, what) in [(medians[1], "200k of the same density"), (medians[2], "200k over the same days")] {
        report.add(Line {
            what: format!("drain of {LATE_ROWS} late events, {} events", args.events),
            bound: what.to_owned(),
            ratio: long.wall / short.wall,
            processor: Some(long.processor / short.processor),
            target: Some(TARGET),
            medians: json!({"seconds": long.wall, "processor_seconds": long.processor,
                            "bound_seconds": short.wall, "bound_processor_seconds": short.processor}),
        });
    }
    Ok(())
}
