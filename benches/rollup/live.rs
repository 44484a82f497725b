//! Reads of the live view and by `rollup read`, beside the same reads of the table; clean, and with many open marks.

use highwater::db::{Executor, Session};
use highwater::rollup::read::{self, Edge, Query, Step};
use serde_json::json;

use crate::args::Args;
use crate::clock::Took;
use crate::data::{self, Density, History, Keys, Order};
use crate::place::Place;
use crate::report::{Line, Report};

/// Events that come late; each leaves a mark.
const OPEN_MARKS: u64 = 100_000;

/// Largest ratios that are good enough: of the view on clean data, and of `rollup read`.
const CLEAN_TARGET: f64 = 1.4;
const READ_TARGET: f64 = 1.1;

/// Who reads what, and how often in one measurement: a single read of a week is too short to be timed.
const READERS: [(&str, &str, u32); 3] = [
    ("a year, all tenants", "", 1),
    ("a month, all tenants", "WHERE bucket >= '2025-05-01 00:00+00' AND bucket < '2025-06-01 00:00+00'", 5),
    (
        "a week, one tenant",
        "WHERE tenant = 'tenant-007' AND bucket >= '2025-05-05 00:00+00' AND bucket < '2025-05-12 00:00+00'",
        50,
    ),
];

/// Executions before the first that counts: the server keeps a plan that is good for any values after five.
const WARM: u32 = 6;

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let history = History::named("viewed")?;
    let mut session = place.session().await?;
    data::draft(&session, args.events, 365).await?;
    history.make(&session, Keys::Text, Density::Dense, Order::Time).await?;
    history.renew(place).await?;
    place.run(&["backfill", history.rollup.as_str()]).await?;
    session.batch(&format!("VACUUM (ANALYZE) highwater.{}", history.rollup)).await?;
    views(&session, &history, args, report, "clean", Some(CLEAN_TARGET)).await?;
    local_days(&mut session, &history, args, report).await?;
    let late = history
        .filled(include_str!("sql/late_rows.sql"))
        .replace("{{days}}", "365")
        .replace("{{rows}}", &OPEN_MARKS.to_string())
        .replace("{{round}}", "0");
    session.batch(&late).await?;
    // As a session does that comes afterwards, and as autovacuum would.
    session.batch(&format!("VACUUM highwater.{}_mark", history.rollup)).await?;
    views(&session, &history, args, report, &format!("{OPEN_MARKS} late events"), None).await
}

/// The view beside its table, both prepared.
async fn views(
    session: &Session,
    history: &History,
    args: &Args,
    report: &mut Report,
    when: &str,
    target: Option<f64>,
) -> anyhow::Result<()> {
    for (reader, condition, times) in READERS {
        for (name, suffix) in [("bench_table", ""), ("bench_view", "_live")] {
            session
                .batch(&format!(
                    "PREPARE {name} AS SELECT sum(input_tokens), sum(event_count), count(DISTINCT model) \
                     FROM highwater.{}{suffix} {condition}",
                    history.rollup
                ))
                .await?;
        }
        let (mut table, mut view) = (Vec::new(), Vec::new());
        for _ in 0..WARM {
            session.batch("EXECUTE bench_table; EXECUTE bench_view").await?;
        }
        for _ in 0..args.repeat {
            table.push(timed(session, "EXECUTE bench_table", times).await?);
            view.push(timed(session, "EXECUTE bench_view", times).await?);
        }
        session.batch("DEALLOCATE ALL").await?;
        let (table, view) = (Took::median(&table), Took::median(&view));
        report.add(Line {
            what: format!("live view of {reader}, {when}"),
            bound: "the same of the table".to_owned(),
            ratio: view.wall / table.wall,
            processor: Some(view.processor / table.processor),
            target,
            medians: json!({"seconds": view.wall / f64::from(times), "bound_seconds": table.wall / f64::from(times)}),
        });
    }
    Ok(())
}

/// `rollup read` beside the statement that a person would write.
async fn local_days(
    session: &mut Session,
    history: &History,
    args: &Args,
    report: &mut Report,
) -> anyhow::Result<()> {
    let query = Query {
        from: Edge::Instant("2025-05-01T00:00:00Z".parse()?),
        to: Edge::Instant("2025-06-01T00:00:00Z".parse()?),
        zone: "UTC".to_owned(),
        step: Step::Day,
        by: vec!["agent".to_owned()],
        measures: Vec::new(),
        tenant: None,
    };
    let by_hand = format!(
        "SELECT row_to_json(each) FROM (SELECT date_trunc('day', bucket, 'UTC') AS day, agent, sum(input_tokens)::bigint, sum(output_tokens)::bigint, \
                sum(cache_read_tokens)::bigint, sum(cache_write_tokens)::bigint, sum(event_count)::bigint \
           FROM highwater.{} WHERE bucket >= '2025-05-01 00:00+00' AND bucket < '2025-06-01 00:00+00' \
          GROUP BY 1, 2 ORDER BY 1, 2) AS each",
        history.rollup
    );
    let (mut hand, mut ours) = (Vec::new(), Vec::new());
    for round in 0..=args.repeat {
        let measured = Took::measure(session).await?;
        session.query(&by_hand, &[]).await?;
        let one = measured.end(session).await?;
        let measured = Took::measure(session).await?;
        let table = read::read(session, &history.rollup, &query).await?;
        let other = measured.end(session).await?;
        anyhow::ensure!(table.was_clean, "the table was not clean");
        // The first round warms up.
        if round > 0 {
            hand.push(one);
            ours.push(other);
        }
    }
    let (hand, ours) = (Took::median(&hand), Took::median(&ours));
    report.add(Line {
        what: "rollup read of a month by day and agent, all tenants".to_owned(),
        bound: "the same by hand".to_owned(),
        ratio: ours.wall / hand.wall,
        processor: Some(ours.processor / hand.processor),
        target: Some(READ_TARGET),
        medians: json!({"seconds": ours.wall, "bound_seconds": hand.wall}),
    });
    Ok(())
}

async fn timed(session: &Session, statement: &str, times: u32) -> anyhow::Result<Took> {
    let measured = Took::measure(session).await?;
    for _ in 0..times {
        session.batch(statement).await?;
    }
    measured.end(session).await
}
