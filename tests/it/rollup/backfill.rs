//! Backfill from the command line: ranges, pauses, failures, and what stays when it ends early.

use std::time::Duration;

use highwater::db::{DbError, Executor, Session};
use highwater::rollup::RollupError;
use highwater::rollup::backfill::{End, Options, Order};

use super::field::{self, MONTHS, ROWS, TRUTH};
use crate::support::program::highwater;

const SLICES: &str = "SELECT to_char(slice_start, 'YYYY-MM'), state, attempts FROM highwater.rollup_slice WHERE rollup = 'event_hourly'";

/// What the guard says: the SQLSTATE and the words of its refusal, or nothing.
async fn guard(session: &Session) -> Option<(String, String)> {
    let error = session.query("SELECT highwater.assert_rollup_current('event_hourly')", &[]).await.err()?;
    assert!(matches!(error, DbError::GuardRefused(_)), "{error}");
    Some((error.code().unwrap().to_owned(), error.to_string()))
}

#[tokio::test]
async fn a_backfill_makes_the_rollup_equal_to_its_source() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let (code, words) = guard(&session).await.unwrap();
    assert!(code == "HW010" && words.contains("highwater backfill event_hourly"), "{words}");
    let ended =
        highwater(&db, &["backfill", "event_hourly", "--parallel", "3", "--format", "json"]).await.success();
    let report: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&report["end"], &report["slices_filled"], &report["slices_left_in_all"]),
        (&"complete".into(), &MONTHS.into(), &0.into())
    );
    field::assert_same(&session, ROWS, TRUTH).await;
    assert_eq!(guard(&session).await, None);
    // Nothing is left to do, and nothing is done twice.
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    assert_eq!(field::number(&session, "SELECT max(attempts)::bigint FROM highwater.rollup_slice").await, 1);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn slices_are_filled_in_the_order_that_was_asked_for() {
    for (order, last) in [(Order::Newest, "2024-01"), (Order::Oldest, "2024-08")] {
        let db = field::seeded().await;
        field::backfill(&db, &Options { order, parallel: 1, ..Options::default() }).await.unwrap();
        let session = db.session().await;
        let found = "SELECT to_char(slice_start, 'YYYY-MM') FROM highwater.rollup_slice WHERE rollup = 'event_hourly' ORDER BY finished_at DESC LIMIT 1";
        assert_eq!(field::text(&session, found).await.as_deref(), Some(last), "{order:?}");
    }
}

#[tokio::test]
async fn partial_coverage_is_recorded_and_the_guard_goes_on_refusing() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let ended = highwater(&db, &["backfill", "event_hourly", "--from", "2024-03-15", "--to", "2024-06"])
        .await
        .success();
    assert!(
        ended.stdout.contains("coverage is partial") && ended.stdout.contains("5 months left to fill"),
        "{ended:?}"
    );
    field::assert_same(&session, SLICES, "SELECT '2024-0' || n, CASE WHEN n BETWEEN 3 AND 5 THEN 'complete' ELSE 'pending' END, (n BETWEEN 3 AND 5)::int FROM generate_series(1, 8) AS n").await;
    let between = "bucket >= '2024-03-01 00:00+00' AND bucket < '2024-06-01 00:00+00'";
    field::assert_same(&session, ROWS, &format!("SELECT * FROM ({TRUTH}) AS t WHERE {between}")).await;
    let (code, words) = guard(&session).await.unwrap();
    assert!(code == "HW010" && words.contains("5 slice(s)") && words.contains("2024-01"), "{words}");
    // No event is that young: nothing is requested, and nothing is claimed to be covered.
    highwater(&db, &["backfill", "event_hourly", "--months-back", "2"]).await.success();
    assert!(guard(&session).await.is_some());
    let status = highwater(&db, &["status"]).await;
    assert!(status.code() == 1 && status.stdout.contains("5 months are not backfilled"), "{status:?}");
    let refused = highwater(&db, &["backfill", "event_hourly", "--from", "2024-06", "--to", "2024-03"]).await;
    assert_eq!(refused.code(), 2, "{refused:?}");
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    assert_eq!(guard(&session).await, None);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn months_back_takes_the_current_month_and_those_before_it() {
    let db = field::seeded().await;
    let session = db.session().await;
    session
        .batch("INSERT INTO app.event (tenant, at, amount) SELECT 't', date_trunc('month', now(), 'UTC') - n * interval '1 month' + interval '1 hour', 1 FROM generate_series(0, 3) AS n")
        .await
        .unwrap();
    highwater(&db, &["backfill", "event_hourly", "--months-back", "2"]).await.success();
    let complete =
        "SELECT slice_start FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete'";
    let wanted =
        "SELECT date_trunc('month', now(), 'UTC') - n * interval '1 month' FROM generate_series(0, 2) AS n";
    field::assert_same(&session, complete, wanted).await;
    assert!(guard(&session).await.is_some());
}

#[tokio::test]
async fn a_backfill_that_runs_out_of_time_ends_cleanly_and_goes_on_later() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let paused = highwater(&db, &["backfill", "event_hourly", "--max-duration", "0s"]).await;
    assert!(paused.code() == 11 && paused.stdout.contains("8 months left"), "{paused:?}");
    let paused = highwater(
        &db,
        &[
            "backfill",
            "event_hourly",
            "--max-duration",
            "300ms",
            "--sleep-between-slices",
            "400ms",
            "--parallel",
            "1",
        ],
    )
    .await;
    assert!(paused.code() == 11 && paused.stdout.contains("goes on from here"), "{paused:?}");
    let done = field::number(
        &session,
        "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete'",
    )
    .await;
    assert!((1..MONTHS).contains(&done), "{done}");
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    assert_eq!(field::number(&session, "SELECT max(attempts)::bigint FROM highwater.rollup_slice").await, 1);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let db = field::seeded().await;
    let session = db.session().await;
    let state = "SELECT xmin::text || r::text FROM highwater.rollup AS r UNION ALL SELECT s::text FROM highwater.rollup_slice AS s UNION ALL SELECT relname FROM pg_class";
    session
        .batch(&format!("CREATE TABLE app.before (line text); INSERT INTO app.before {state}"))
        .await
        .unwrap();
    let told = highwater(&db, &["backfill", "event_hourly", "--dry-run", "--format", "json"]).await.success();
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let estimate = &told["estimates"][0];
    assert!((800..3200).contains(&estimate["source_rows"].as_i64().unwrap()), "{told}");
    assert!(
        estimate["disk_bytes"].as_i64().unwrap() > 0 && estimate["wal_bytes"].as_i64().unwrap() > 0,
        "{told}"
    );
    let told = highwater(&db, &["backfill", "event_hourly", "--dry-run"]).await.success();
    assert!(told.stdout.contains("Nothing was changed"), "{told:?}");
    field::assert_same(&session, state, "SELECT line FROM app.before").await;
}

#[tokio::test]
async fn a_restart_rewrites_only_rows_that_are_wrong() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session
        .batch("DELETE FROM highwater.event_hourly WHERE tenant = 't1' AND bucket < '2024-02-01 00:00+00';
                UPDATE highwater.event_hourly SET amount = -1 WHERE tenant = 't2' AND bucket < '2024-03-01 00:00+00';
                INSERT INTO highwater.event_hourly VALUES ('nobody', '2024-03-01 00:00+00', 'x', 1, 1, 1);
                CREATE TABLE app.untouched AS SELECT tableoid::regclass::text AS place, ctid::text AS item, xmin::text AS writer FROM highwater.event_hourly WHERE tenant = 't0'")
        .await
        .unwrap();
    highwater(&db, &["backfill", "event_hourly", "--restart", "--to", "2024-03"]).await.success();
    assert_eq!(
        field::differences(&session, ROWS, TRUTH).await,
        ["surplus (nobody,\"2024-03-01 00:00:00+00\",x,1,1,1)"]
    );
    highwater(&db, &["backfill", "event_hourly", "--restart"]).await.success();
    field::assert_exact(&mut session).await;
    field::assert_same(
        &session,
        "SELECT tableoid::regclass::text AS place, ctid::text AS item, xmin::text AS writer FROM highwater.event_hourly WHERE tenant = 't0'",
        "SELECT * FROM app.untouched",
    )
    .await;
}

/// The old design noted an error in the transaction that failed with it (c): it was never seen.
#[tokio::test]
async fn a_month_that_fails_is_recorded_and_the_others_stay() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let fragile = field::DEFINITION
        .replace("event_hourly", "event_fragile")
        .replace("count(*) AS events", "sum(100 / source.amount)::bigint AS events");
    field::add(&mut session, &fragile).await.unwrap();
    session.batch("UPDATE app.event SET amount = 0 WHERE at = '2024-05-01 00:00+00'::timestamptz + 50 * interval '3 hours' + 200 * interval '1 minute'").await.unwrap();
    assert_eq!(field::number(&session, "SELECT count(*) FROM app.event WHERE amount = 0").await, 1);
    let failing = highwater(&db, &["backfill", "event_fragile", "--parallel", "1"]);
    let failed =
        tokio::time::timeout(Duration::from_secs(60), failing).await.expect("a failing backfill ends");
    assert_eq!(failed.code(), 7, "{failed:?}");
    assert!(
        failed.stderr.contains("2024-05")
            && failed.stderr.contains("division by zero")
            && failed.stderr.contains("3 slices are complete"),
        "{failed:?}"
    );
    field::assert_same(
        &session,
        "SELECT to_char(slice_start, 'YYYY-MM'), state, attempts, error LIKE '%division by zero%' FROM highwater.rollup_slice WHERE rollup = 'event_fragile'",
        "SELECT '2024-0' || n, CASE WHEN n > 5 THEN 'complete' ELSE 'pending' END, (n >= 5)::int, CASE WHEN n = 5 THEN true END FROM generate_series(1, 8) AS n",
    )
    .await;
    let status = highwater(&db, &["status"]).await;
    assert!(status.code() == 2 && status.stdout.contains("last run failed: division by zero"), "{status:?}");
    // Two connections that fail at once do not wait for each other either.
    session.batch("UPDATE app.event SET amount = 0 WHERE id % 100 = 0").await.unwrap();
    let failing = highwater(&db, &["backfill", "event_fragile", "--parallel", "2", "--order", "oldest"]);
    let failed =
        tokio::time::timeout(Duration::from_secs(60), failing).await.expect("a failing backfill ends");
    assert_eq!(failed.code(), 7, "{failed:?}");
    session.batch("UPDATE app.event SET amount = 1 WHERE amount = 0").await.unwrap();
    highwater(&db, &["backfill", "event_fragile"]).await.success();
    assert_eq!(
        field::text(&session, "SELECT last_error FROM highwater.rollup WHERE name = 'event_fragile'").await,
        None
    );
    field::drain(&mut session, "event_fragile").await;
    assert_eq!(field::verify(&db, "event_fragile").await.drifted, 0);
}

#[tokio::test]
async fn a_backfill_of_an_unknown_rollup_names_those_there_are() {
    let db = field::seeded().await;
    let refused = field::backfill_of(&db, "nothing", &Options::default()).await.unwrap_err();
    assert!(matches!(refused, RollupError::Unknown { .. }));
    assert!(
        refused
            .to_string()
            .contains("installed are backup_job_hourly, event_hourly, slot_hourly, usage_hourly"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_month_that_begins_during_the_walk_is_filled_too() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let options = Options { parallel: 1, sleep: Duration::from_millis(100), ..Options::default() };
    let growing = async {
        let writer = db.session().await;
        field::until(
            &writer,
            "a first slice",
            "SELECT EXISTS (SELECT FROM highwater.rollup_slice WHERE state = 'complete')",
        )
        .await;
        writer.batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2024-09-01 00:00+00', 1), ('t', '1999-01-01 00:00+00', 1)").await.unwrap();
    };
    let (report, ()) = tokio::join!(field::backfill(&db, &options), growing);
    let report = report.unwrap();
    assert_eq!((report.end, report.left_in_all), (End::Complete, 0));
    assert_eq!(
        field::number(&session, "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'event_hourly'")
            .await,
        MONTHS + 2
    );
    field::assert_exact(&mut session).await;
}
