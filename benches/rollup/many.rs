//! A hundred rollups over twenty sources, with a million marks outstanding, and one worker.

use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use highwater::db::Executor;
use highwater::rollup::definition::Definition;
use highwater::rollup::{drop, install};
use serde_json::json;
use tokio::time::Instant;

use crate::args::Args;
use crate::place::Place;
use crate::report::{Line, Report};

const SOURCES: u32 = 20;
const ROLLUPS_PER_SOURCE: u32 = 5;

/// Hours that each statement touches, and statements on each source: a hundred rollups get a million marks.
const HOURS: u32 = 500;
const STATEMENTS: u32 = 20;

/// Marks a second that are good enough.
const TARGET: f64 = 100_000.0;

/// Each drain is a run of its own, all the time.
const CONCURRENCY: &str = "128";

/// A worker that needs longer than this for the marks has failed.
const LONGEST: Duration = Duration::from_secs(300);

const DEFINITION: &str = "
name = 'bench_many_{{number}}'
source = 'bench.many_{{source}}'
time = 'at'
tenant = 'tenant'
grain = '1h'
key = ['key']
query = '''
SELECT source.tenant, source.bucket, source.key, sum(source.amount)::bigint AS amount, count(*) AS events
  FROM source GROUP BY source.tenant, source.bucket, source.key
'''
";

pub async fn run(place: &Place, _args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let mut session = place.session().await?;
    let mut names = Vec::new();
    for source in 0..SOURCES {
        session.batch(&include_str!("sql/many_table.sql").replace("{{source}}", &source.to_string())).await?;
        for number in 0..ROLLUPS_PER_SOURCE {
            let number = source * ROLLUPS_PER_SOURCE + number;
            let text = DEFINITION
                .replace("{{number}}", &number.to_string())
                .replace("{{source}}", &source.to_string());
            let definition = Definition::parse(&text, "of the benchmark")?;
            install::install_now(&mut session, &definition).await?;
            names.push(definition.name);
        }
    }
    for name in &names {
        place.run(&["backfill", name.as_str()]).await?;
    }
    let each: Vec<String> = names
        .iter()
        .map(|name| format!("SELECT '{name}' AS name, (SELECT count(*) FROM highwater.{name}_mark) AS marks"))
        .collect();
    let count = format!(
        "SELECT sum(each.marks)::bigint AS marks, count(*) FILTER (WHERE each.marks > 0) AS open FROM ({}) AS each",
        each.join(" UNION ALL ")
    );
    let worker = place.spawn(&["worker", "--listen", "127.0.0.1:0", "--concurrency", CONCURRENCY])?;
    // A worker that has been there for a while: each rollup is drained, and has nothing to do.
    let begun = include_str!("sql/many_begun.sql");
    let since =
        session.query_one("SELECT clock_timestamp() AS now", &[]).await?.get::<_, DateTime<Utc>>("now");
    let began = Instant::now();
    while session.query_one(begun, &[&since]).await?.get::<_, i64>("idle") > 0 {
        ensure!(began.elapsed() < LONGEST, "the worker does not drain every rollup");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    // One transaction, so that all marks are there at once.
    let mut writer = place.session().await?;
    let tx = writer.begin().await?;
    for source in 0..SOURCES {
        let writes = include_str!("sql/many_rows.sql")
            .replace("{{source}}", &source.to_string())
            .replace("{{hours}}", &HOURS.to_string())
            .replace("{{statements}}", &STATEMENTS.to_string());
        tx.batch(&writes).await?;
    }
    let marks: i64 = tx.query_one(&count, &[]).await?.get("marks");
    tx.commit().await?;
    let began = Instant::now();
    let mut half = None;
    let took = loop {
        let row = session.query_one(&count, &[]).await?;
        let (left, open): (Option<i64>, i64) = (row.get("marks"), row.get("open"));
        if open <= i64::from(SOURCES * ROLLUPS_PER_SOURCE / 2) && half.is_none() {
            half = Some(began.elapsed());
        }
        if left == Some(0) {
            break began.elapsed();
        }
        ensure!(began.elapsed() < LONGEST, "marks are left after {LONGEST:?}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    };
    worker.end().await?;
    let half = half.map_or(0.0, |half| half.as_secs_f64());
    let seconds = took.as_secs_f64();
    for name in &names {
        let row = session
            .query_one(
                &include_str!("sql/many_differences.sql")
                    .replace("{{name}}", name.as_str())
                    .replace("{{source}}", &source_of(name.as_str())?),
                &[],
            )
            .await?;
        ensure!(row.get::<_, i64>("differing") == 0, "{name} differs from its source");
        drop::run(&mut session, name).await?;
    }
    report.add(Line {
        what: format!("{marks} marks of {} rollups, one worker", SOURCES * ROLLUPS_PER_SOURCE),
        bound: format!("{TARGET} marks a second"),
        ratio: TARGET / (marks as f64 / seconds),
        processor: None,
        target: Some(1.0),
        medians: json!({"seconds": seconds, "marks_per_second": marks as f64 / seconds, "seconds_until_half_of_the_rollups": half}),
    });
    Ok(())
}

/// How often the marks are counted.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

fn source_of(name: &str) -> anyhow::Result<String> {
    let number: u32 = name.rsplit('_').next().context("a name without a number")?.parse()?;
    Ok((number / ROLLUPS_PER_SOURCE).to_string())
}
