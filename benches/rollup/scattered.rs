//! Changes scattered over a year, made exact again, beside a rewrite of the whole table; and their WAL beside the least
//! that a table of sums would have to write.

use highwater::db::{Executor, Session};
use highwater::ground::shutdown;
use highwater::rollup::drain;
use serde_json::json;

use crate::args::Args;
use crate::clock::Took;
use crate::data::{self, Density, History, Keys, Order};
use crate::place::Place;
use crate::report::{Line, Report, median};

/// Events that change before each drain.
const CHANGED_ROWS: &str = "10000";

/// Largest part of a rewrite that is good enough, at 5 million events.
const TARGET: f64 = 0.08;

/// Largest ratio of WAL to that of a merge.
const WAL_TARGET: f64 = 1.2;

/// One kind of change.
struct Kind {
    name: &'static str,
    statement: &'static str,
    times: Vec<Took>,
    wal_bytes: Vec<f64>,
}

impl Kind {
    fn new(name: &'static str, statement: &'static str) -> Kind {
        Kind { name, statement, times: Vec::new(), wal_bytes: Vec::new() }
    }
}

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let history = History::named("scattered")?;
    let mut session = place.session().await?;
    data::draft(&session, args.events, 365).await?;
    history.make(&session, Keys::Text, Density::Dense, Order::Time).await?;
    history.renew(place).await?;
    place.run(&["backfill", history.rollup.as_str()]).await?;
    session.batch("DROP TABLE IF EXISTS bench.bound, bench.merged").await?;
    session.batch(&history.filled(include_str!("sql/bound_b_table.sql"))).await?;
    session.batch(&history.filled(include_str!("sql/bound_b.sql"))).await?;
    session.batch(&history.filled(include_str!("sql/merged_table.sql"))).await?;
    let (_trigger, calm) = shutdown::channel();
    let mut kinds = [
        Kind::new("late events", include_str!("sql/late_rows.sql")),
        Kind::new("updates", include_str!("sql/update_rows.sql")),
        Kind::new("deletes", include_str!("sql/delete_rows.sql")),
    ];
    let (mut rewrites, mut merged_bytes) = (Vec::new(), Vec::new());
    for round in 0..args.repeat {
        let filled = |text: &str| {
            history
                .filled(text)
                .replace("{{days}}", "365")
                .replace("{{rows}}", CHANGED_ROWS)
                .replace("{{round}}", &round.to_string())
        };
        let measured = Took::measure(&session).await?;
        session
            .batch(&format!("DELETE FROM bench.bound; {}", filled(include_str!("sql/bound_b.sql"))))
            .await?;
        rewrites.push(measured.end(&session).await?);
        for kind in &mut kinds {
            session.batch(&filled(kind.statement)).await?;
            session.batch("CHECKPOINT").await?;
            let before = wal_bytes(&session).await?;
            let measured = Took::measure(&session).await?;
            drain::run(&mut session, &history.rollup, &calm).await?;
            kind.times.push(measured.end(&session).await?);
            kind.wal_bytes.push(wal_bytes(&session).await? - before);
            if kind.name == "late events" {
                session.batch("CHECKPOINT").await?;
                let before = wal_bytes(&session).await?;
                session.batch(&filled(include_str!("sql/merge.sql"))).await?;
                merged_bytes.push(wal_bytes(&session).await? - before);
            }
        }
    }
    let rewrite = Took::median(&rewrites);
    for kind in &kinds {
        let took = Took::median(&kind.times);
        report.add(Line {
            what: format!("drain of {CHANGED_ROWS} scattered {}, {} events", kind.name, args.events),
            bound: "one rewrite of the table".to_owned(),
            ratio: took.wall / rewrite.wall,
            processor: Some(took.processor / rewrite.processor),
            target: Some(TARGET),
            medians: json!({"seconds": took.wall, "processor_seconds": took.processor,
                            "bound_seconds": rewrite.wall, "bound_processor_seconds": rewrite.processor}),
        });
    }
    let (drained, merged) = (median(kinds[0].wal_bytes.clone()), median(merged_bytes));
    report.add(Line {
        what: format!("WAL of a drain of {CHANGED_ROWS} scattered late events"),
        bound: "a merge of their sums".to_owned(),
        ratio: drained / merged,
        processor: None,
        target: Some(WAL_TARGET),
        medians: json!({"bytes": drained, "bound_bytes": merged}),
    });
    Ok(())
}

async fn wal_bytes(session: &Session) -> anyhow::Result<f64> {
    Ok(session.query_one(include_str!("sql/wal.sql"), &[]).await?.get("bytes"))
}
