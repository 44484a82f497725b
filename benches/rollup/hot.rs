//! A bucket of a million events that 2,000 more come to every second, and a pass of the worker's drain every second.

use std::time::Duration;

use highwater::db::Executor;
use highwater::rollup::drain;
use serde_json::json;
use tokio::time::Instant;

use crate::args::Args;
use crate::clock::Took;
use crate::data::{History, Keys};
use crate::place::Place;
use crate::report::{Line, Report};

/// Events of the bucket when the stream begins.
const EVENTS: &str = "1000000";

/// Events, each a statement of its own, that come in a second.
const STREAM: &str = "2000";

/// Seconds that are measured: three rests of a hot bucket.
const SECONDS: u32 = 15;

/// Largest part of a core that is good enough.
const TARGET: f64 = 0.25;

pub async fn run(place: &Place, _args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let history = History::named("hot")?;
    let session = place.session().await?;
    history.table(&session, Keys::Text).await?;
    session.batch(&history.filled(include_str!("sql/hot_rows.sql")).replace("{{rows}}", EVENTS)).await?;
    history.index(&session).await?;
    history.renew(place).await?;
    place.run(&["backfill", history.rollup.as_str()]).await?;
    let writer = place.session().await?;
    let (mut processor, mut wall) = (0.0, 0.0);
    let mut passes = 0;
    for second in 0..SECONDS {
        let until = Instant::now() + Duration::from_secs(1);
        let stream = history
            .filled(include_str!("sql/hot_stream.sql"))
            .replace("{{rows}}", STREAM)
            .replace("{{round}}", &second.to_string());
        writer.batch(&stream).await?;
        let measured = Took::measure(&session).await?;
        // The worker's pass, whose fence is always open here.
        let pass = drain::pass_if(&session, &history.rollup, "SELECT 1 AS held", &[]).await?;
        let took = measured.end(&session).await?;
        processor += took.processor;
        wall += took.wall;
        passes += i32::from(pass.is_some_and(|pass| pass.buckets > 0));
        tokio::time::sleep_until(until).await;
    }
    let seconds = f64::from(SECONDS);
    report.add(Line {
        what: format!("passes over a hot bucket of {EVENTS} events, {STREAM} more a second"),
        bound: "one core".to_owned(),
        // Of a core, so by the processor's time: how long a pass waits for its turn is its neighbours' doing.
        ratio: processor / seconds,
        processor: None,
        target: Some(TARGET),
        medians: json!({"seconds": wall, "processor_seconds": processor, "computed": passes, "bound_seconds": seconds}),
    });
    Ok(())
}
