//! `rollup read` as a user types it.

use highwater::db::Executor;
use serde_json::Value;

use super::field::{self, LIVE, TRUTH, assert_same};
use crate::support::TestDb;
use crate::support::program::{Output, highwater};

const COMBINE: &str = "[combine]\npeak = 'max'\namount = 'sum'\nevents = 'sum'\n";

/// Three months, filled, with measures that say how they combine.
async fn readable() -> TestDb {
    let db = field::migrated().await;
    let session = db.session().await;
    session.batch(field::SOURCE).await.unwrap();
    field::add(&db, &format!("{}{COMBINE}", field::DEFINITION)).await;
    session.batch(field::FILL).await.unwrap();
    db
}

/// What the program printed as JSON.
async fn rows(db: &TestDb, arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["rollup", "read", "event_hourly", "--format", "json"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let ended = highwater(db, &all).await.success();
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    document["rows"].as_array().unwrap().clone()
}

/// The same by Postgres alone.
async fn truth(db: &TestDb, zone: &str, step: &str, from: &str, to: &str, only: &str) -> Vec<Value> {
    let statement = format!(
        "SELECT to_jsonb(r) AS row FROM (
           SELECT to_char(date_trunc('{step}', at AT TIME ZONE '{zone}'), 'YYYY-MM-DD\"T\"HH24:MI:SS') AS local_start, key,
                  sum(amount) AS amount, count(*) AS events, max(amount) AS peak
             FROM app.event WHERE at >= timestamp '{from}' AT TIME ZONE '{zone}' AND at < timestamp '{to}' AT TIME ZONE '{zone}' AND {only}
            GROUP BY 1, 2 ORDER BY 1, 2) AS r"
    );
    db.session().await.query(&statement, &[]).await.unwrap().iter().map(|row| row.get("row")).collect()
}

#[tokio::test]
async fn a_viewer_reads_days_of_an_odd_zone_clean_and_not() {
    let db = readable().await;
    let arguments = [
        "--from",
        "2024-01-10",
        "--to",
        "2024-02-20T10:10",
        "--tz",
        "Asia/Kathmandu",
        "--step",
        "day",
        "--by",
        "key",
        "--tenant",
        "t1",
    ];
    let wanted = || truth(&db, "Asia/Kathmandu", "day", "2024-01-10", "2024-02-20 10:10", "tenant = 't1'");
    assert_eq!(rows(&db, &arguments).await, wanted().await);
    db.session().await.batch("UPDATE app.event SET amount = amount + 100 WHERE id % 3 = 1; DELETE FROM app.event WHERE id % 11 = 0").await.unwrap();
    assert_eq!(rows(&db, &arguments).await, wanted().await);
    let called = "SELECT to_jsonb(r) - 'tenant' FROM highwater.event_hourly_read('2024-01-10 00:00+05:45', '2024-02-20 10:10+05:45', 'Asia/Kathmandu', 'day') AS r WHERE tenant = 't1' ORDER BY local_start, key";
    let called: Vec<Value> =
        db.session().await.query(called, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(called, wanted().await);
    let without_tenant =
        ["--from", "2024-01", "--to", "2024-03", "--tz", "Pacific/Chatham", "--step", "week", "--by", "key"];
    assert_eq!(
        rows(&db, &without_tenant).await,
        truth(&db, "Pacific/Chatham", "week", "2024-01-01", "2024-03-01", "true").await
    );
}

/// Reads January of 2024 with more flags.
async fn january(db: &TestDb, more: &[&str]) -> Output {
    let fixed = ["rollup", "read", "event_hourly", "--from", "2024-01", "--to", "2024-02"];
    let all: Vec<&str> = fixed.into_iter().chain(more.iter().copied()).collect();
    highwater(db, &all).await
}

#[tokio::test]
async fn measures_that_may_not_add_up_are_refused_until_they_are_declared() {
    let db = field::complete().await;
    let refused = january(&db, &[]).await;
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(
        refused.stderr.contains("may not add up") && refused.stderr.contains("[combine] amount"),
        "{refused:?}"
    );
    let db = readable().await;
    let text = january(&db, &["--step", "month", "--measure", "peak"]).await.success().stdout;
    assert!(text.starts_with("LOCAL_START") && text.contains("2024-01-01 00:00:00"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_usage_error_that_says_what_can() {
    let db = readable().await;
    for (more, said) in [
        (&["--tz", "Mars/Olympus"][..], "Mars/Olympus"),
        (&["--by", "note"], "it has tenant, key"),
        (&["--measure", "price"], "it has amount, events, peak"),
        (&["--step", "year"], "expected hour, day, week or month"),
    ] {
        let refused = january(&db, more).await;
        assert_eq!(refused.code(), 2, "{more:?}: {refused:?}");
        assert!(refused.stderr.contains(said), "{more:?}: {refused:?}");
    }
}

#[tokio::test]
async fn days_in_utc_are_days_in_utc_whatever_the_readers_zone() {
    let db = field::migrated().await;
    let session = db.session().await;
    session.batch(field::SOURCE).await.unwrap();
    let daily = field::DEFINITION.replace("event_hourly", "event_daily").replace("'1h'", "'1d'");
    field::add(&db, &daily).await;
    session.batch(&field::FILL.replace("event_hourly", "event_daily")).await.unwrap();
    session.batch("SET TimeZone = 'Europe/Berlin'; UPDATE app.event SET at = at + interval '1 minute'; INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2024-03-31 00:30+00', 1), ('t1', '2024-03-31 23:30+00', 1)").await.unwrap();
    let (live, truth) = (LIVE.replace("hourly", "daily"), TRUTH.replace("'hour'", "'day'"));
    assert_same(&session, &live, &truth, "under marks").await;
    session.batch("TRUNCATE app.event; INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2024-03-31 23:30+00', 1)").await.unwrap();
    assert_same(&session, &live, &truth, "under a range mark").await;
}
