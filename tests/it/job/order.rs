//! Reports commute: any order, repetition and delay of a run's reports gives the same jobs, steps, records and rollups.

use highwater::db::{Executor, Session};
use serde_json::{Value, json};
use uuid::Uuid;

use super::site::{Reporter, apply, dump, site};
use crate::rollup::field;
use crate::support::draw::Draw;
use crate::support::scale::scaled;

/// A permutation of the events in which some appear twice or more, cut into batches.
fn batches(draw: &mut Draw, events: &[Value]) -> Vec<Vec<Value>> {
    let mut drawn = events.to_vec();
    for _ in 0..draw.below(events.len()) {
        drawn.push(events[draw.below(events.len())].clone());
    }
    for place in (1..drawn.len()).rev() {
        drawn.swap(place, draw.below(place + 1));
    }
    let mut batches = vec![Vec::new()];
    for event in drawn {
        if draw.below(4) == 0 {
            batches.push(Vec::new());
        }
        batches.last_mut().unwrap().push(event);
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

async fn forget(session: &Session) {
    session
        .batch(
            "DELETE FROM highwater.alarm; DELETE FROM highwater.job_event; DELETE FROM highwater.backup_record;
             DELETE FROM highwater.backup_job",
        )
        .await
        .unwrap();
}

async fn rollup(session: &mut Session) -> Vec<String> {
    field::drain(session, "backup_job_hourly").await;
    let statement = "SELECT to_jsonb(hourly)::text FROM highwater.backup_job_hourly AS hourly ORDER BY 1";
    session.query(statement, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn any_order_and_repetition_of_reports_gives_the_same_rows_and_rollups() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let mut events = Vec::new();
    for (number, state) in ["succeeded", "failed", "warned", "skipped"].into_iter().enumerate() {
        let slot = format!("2026-03-0{}T03:00:00Z", number + 4);
        events.extend(reporter.run(Uuid::now_v7(), "home", &slot, state));
    }
    // A job with two ends, another start after a restart, and one that was never opened.
    let twice = Uuid::now_v7();
    events.extend(reporter.run(twice, &site.group.to_string(), "2026-03-09T03:00:00Z", "succeeded"));
    let mut restarted = Reporter::new(2, "2026-03-10T02:00:00Z");
    events.push(restarted.report(twice, "job.started", json!({})));
    events.push(restarted.report(
        twice,
        "job.finished",
        json!({"state": "interrupted", "error": "found after a restart"}),
    ));
    events.push(restarted.report(
        Uuid::now_v7(),
        "job.finished",
        json!({"state": "failed", "error_class": "hook"}),
    ));
    for event in &events {
        apply(&mut session, site.host, std::slice::from_ref(event)).await;
    }
    let (rows, hourly) = (dump(&session).await, rollup(&mut session).await);
    // Six jobs, two of them in one row of the rollup; two steps in each of those that ran; a record in each that began one.
    assert_eq!(rows.len(), 6 + 5 * 2 + 5, "{rows:#?}");
    assert_eq!(hourly.len(), 5, "{hourly:#?}");
    let mut draw = Draw::new(1);
    for round in 0..scaled(12, 2_000) {
        forget(&session).await;
        let batches = batches(&mut draw, &events);
        for batch in &batches {
            apply(&mut session, site.host, batch).await;
        }
        assert_eq!(dump(&session).await, rows, "round {round}: {batches:#?}");
        assert_eq!(rollup(&mut session).await, hourly, "round {round}: {batches:#?}");
    }
    assert_eq!(field::verify(&db, "backup_job_hourly").await.drifted, 0);
}

#[tokio::test]
async fn a_report_a_week_late_moves_exactly_the_buckets_that_it_should() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:50:00Z");
    let late = Uuid::now_v7();
    let mut run = reporter.run(late, "home", "2026-03-04T03:00:00Z", "succeeded");
    let end = run.pop().unwrap();
    apply(&mut session, site.host, &run).await;
    apply(&mut session, site.host, &reporter.run(Uuid::now_v7(), "home", "2026-03-05T03:00:00Z", "failed"))
        .await;
    let buckets = "SELECT to_char(bucket AT TIME ZONE 'UTC', 'MM-DD HH24') || ' ' || state || ' ' || jobs
                     FROM highwater.backup_job_hourly ORDER BY 1";
    let read = async |session: &mut Session| -> Vec<String> {
        field::drain(session, "backup_job_hourly").await;
        session.query(buckets, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(read(&mut session).await, ["03-04 03 running 1", "03-05 03 failed 1"]);
    let touched = async |session: &Session| -> i64 {
        field::number(session, "SELECT count(*) FROM (SELECT DISTINCT tenant, bucket FROM highwater.backup_job_hourly_mark) AS mark").await
    };
    apply(&mut session, site.host, &[end]).await;
    assert_eq!(touched(&session).await, 2, "the hour of the slot and the hour of the end");
    assert_eq!(read(&mut session).await, ["03-05 03 failed 1", "03-05 03 succeeded 1"]);
    assert_eq!(field::verify(&db, "backup_job_hourly").await.drifted, 0);
}
