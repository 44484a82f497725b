//! What capture takes from writers: throughput with its triggers on, beside the same table with them off.

use bytes::Bytes;
use futures_util::SinkExt;
use highwater::db::{Executor, Session};
use serde_json::json;

use crate::args::Args;
use crate::clock::Took;
use crate::data::History;
use crate::place::Place;
use crate::report::{Line, Report};

/// Pairs of short runs in a round: the loss is a few per cent, a neighbour on the machine takes more than that.
const PAIRS: usize = 8;

/// How events are written.
struct Way {
    what: &'static str,
    /// Events of one run, which takes about a second.
    events: u64,
    /// Largest ratio of time with capture to time without: 18, 12 and 15 per cent off the throughput.
    target: f64,
}

const WAYS: [Way; 3] = [
    Way { what: "single rows", events: 1_000, target: 1.0 / (1.0 - 0.18) },
    Way { what: "100 rows a statement", events: 20_000, target: 1.0 / (1.0 - 0.12) },
    Way { what: "COPY", events: 60_000, target: 1.0 / (1.0 - 0.15) },
];

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let session = place.session().await?;
    let history = History::named("captured")?;
    session.batch(&history.filled(include_str!("sql/text_table.sql"))).await?;
    history.index(&session).await?;
    history.renew(place).await?;
    session.batch(include_str!("sql/prepare_inserts.sql")).await?;
    for (number, way) in WAYS.iter().enumerate() {
        let mut with = Vec::new();
        let mut without = Vec::new();
        let copy = copy_text(way.events);
        for round in 0..args.repeat * PAIRS {
            // Whichever comes first in a pair may have the warmer or the colder server.
            for is_captured in [round % 2 == 0, round % 2 != 0] {
                let switch = if is_captured { "ENABLE" } else { "DISABLE" };
                session.batch(&format!("ALTER TABLE {} {switch} TRIGGER USER", history.table)).await?;
                session.batch(include_str!("sql/empty_captured.sql")).await?;
                session.batch("CHECKPOINT").await?;
                let measured = Took::measure(&session).await?;
                match number {
                    0 => one_by_one(&session, way.events).await?,
                    1 => by_hundreds(&session, way.events).await?,
                    _ => by_copy(&session, &history, &copy).await?,
                }
                let kept = if is_captured { &mut with } else { &mut without };
                kept.push(measured.end(&session).await?);
            }
        }
        let (with, without) = (Took::median(&with), Took::median(&without));
        report.add(Line {
            what: format!("capture, {}", way.what),
            bound: "without capture".to_owned(),
            ratio: with.wall / without.wall,
            processor: Some(with.processor / without.processor),
            target: Some(way.target),
            medians: json!({"seconds": with.wall, "processor_seconds": with.processor,
                            "bound_seconds": without.wall, "bound_processor_seconds": without.processor,
                            "throughput_loss": 1.0 - without.wall / with.wall}),
        });
    }
    Ok(())
}

async fn one_by_one(session: &Session, events: u64) -> anyhow::Result<()> {
    for id in 0..events {
        let tenant = id * 7 % 50;
        session
            .batch(&format!("EXECUTE one ('event-{id}', 'tenant-{tenant:03}', '2025-06-01 00:00:00+00'::timestamptz + {id} * interval '1 second')"))
            .await?;
    }
    Ok(())
}

async fn by_hundreds(session: &Session, events: u64) -> anyhow::Result<()> {
    for first in (0..events).step_by(100) {
        session.batch(&format!("EXECUTE hundred ({first})")).await?;
    }
    Ok(())
}

async fn by_copy(session: &Session, history: &History, text: &Bytes) -> anyhow::Result<()> {
    let statement = format!(
        "COPY {} (event_id, tenant, occurred_at, runtime, agent, provider, model, task, \
         input_tokens, output_tokens, cache_read_tokens, cache_write_tokens) FROM STDIN",
        history.table
    );
    let mut sink = std::pin::pin!(session.copy_in(&statement).await?);
    sink.send(text.clone()).await?;
    sink.finish().await?;
    Ok(())
}

/// The same events as text, as `COPY` reads it: a day of them, whatever their number.
fn copy_text(events: u64) -> Bytes {
    let mut text = String::new();
    for id in 0..events {
        let tenant = id * 7 % 50;
        let second = id * 86_400 / events;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        text.push_str(&format!(
            "event-{id}\ttenant-{tenant:03}\t2025-06-01 {hour:02}:{minute:02}:{second:02}+00\t\
             runtime-1\tagent-1\tprovider-1\tmodel-1\ttask-1\t1\t2\t3\t4\n"
        ));
    }
    text.into()
}
