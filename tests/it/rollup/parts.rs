//! A month that is too large for one transaction: filled in parts, between which anything may happen.

use highwater::db::{Executor, Session};
use nix::sys::signal::Signal;

use super::field::{self, ROWS, TRUTH, assert_same, number};
use crate::support::TestDb;
use crate::support::program::{highwater, spawn};

/// The next part of March.
const PART: &str =
    "SELECT outcome FROM highwater.event_hourly_fill('2024-03-01 00:00+00', true, '10 days 90 minutes')";

const LIVE: &str = "SELECT tenant, bucket, key, amount, events, notes FROM highwater.event_hourly_live";

const FILLED_TO: &str = "SELECT extract(day FROM filled_to AT TIME ZONE 'UTC')::bigint FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND slice_start = '2024-03-01 00:00+00'";

async fn part(session: &Session) -> String {
    session.query_one(PART, &[]).await.unwrap().get(0)
}

/// Everything but March is complete; of March the first ten days are.
async fn begun() -> (TestDb, Session) {
    let db = field::seeded().await;
    let session = db.session().await;
    session.batch("SELECT highwater.event_hourly_census(); SELECT highwater.event_hourly_fill(slice_start) FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND slice_start <> '2024-03-01 00:00+00'").await.unwrap();
    assert_eq!(part(&session).await, "part");
    assert_eq!(number(&session, FILLED_TO).await, 11);
    (db, session)
}

#[tokio::test]
async fn a_month_in_parts_is_exact_whatever_comes_between_them() {
    let (_db, mut session) = begun().await;
    for change in [
        "INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '2024-03-02 05:10+00', 'late', 1), ('t1', '2024-03-20 05:10+00', 'late', 1)",
        "UPDATE app.event SET at = at + interval '9 days' WHERE at >= '2024-03-03 00:00+00' AND at < '2024-03-05 00:00+00'",
        "UPDATE app.event SET at = at - interval '9 days', tenant = 't2' WHERE at >= '2024-03-14 00:00+00' AND at < '2024-03-15 00:00+00'",
    ] {
        session.batch(change).await.unwrap();
        assert_same(&session, LIVE, TRUTH).await;
    }
    assert_eq!(part(&session).await, "part");
    assert_same(&session, LIVE, TRUTH).await;
    for change in [
        "DELETE FROM app.event WHERE at >= '2024-03-10 22:00+00' AND at < '2024-03-11 07:00+00'",
        "INSERT INTO highwater.event_hourly_wide (lo, hi) VALUES ('2024-03-09 00:00+00', '2024-03-23 00:00+00')",
    ] {
        session.batch(change).await.unwrap();
        assert_same(&session, LIVE, TRUTH).await;
    }
    assert_eq!(part(&session).await, "part");
    assert_eq!(part(&session).await, "filled");
    assert_same(&session, LIVE, TRUTH).await;
    field::assert_exact(&mut session).await;
    session.batch("TRUNCATE app.event").await.unwrap();
    assert_same(&session, LIVE, TRUTH).await;
    session.batch(field::SEED).await.unwrap();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_drain_keeps_what_is_filled_of_a_month_and_leaves_the_rest_to_the_backfill() {
    let (db, mut session) = begun().await;
    session
        .batch(
            "INSERT INTO app.event (tenant, at, key, amount)
             SELECT 't1', timestamptz '2024-03-01 00:20+00' + n * interval '1 day', 'late', n FROM generate_series(0, 30) AS n;
             DELETE FROM app.event WHERE at >= '2024-03-05 00:00+00' AND at < '2024-03-06 00:00+00'",
        )
        .await
        .unwrap();
    let report = field::drain(&mut session, "event_hourly").await;
    assert!(report.is_whole && report.pending == 1, "{report:?}");
    let of = |query: &str, column: &str, until: &str| {
        format!("SELECT * FROM ({query}) AS each WHERE {column} >= '2024-03-01' AND {column} < '{until}'")
    };
    let filled_to = "2024-03-11 01:00+00";
    assert_same(&session, &of(ROWS, "bucket", "2024-04-01"), &of(TRUTH, "bucket", filled_to)).await;
    assert_eq!(number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await, 0);
    // A range that begins in what is filled and ends beyond it is made right as far as it goes.
    session
        .batch(
            "UPDATE highwater.event_hourly SET amount = 0 WHERE bucket >= '2024-03-01' AND bucket < '2024-04-01';
             INSERT INTO highwater.event_hourly_wide (lo, hi) VALUES ('2024-02-20 00:00+00', '2024-03-25 00:00+00')",
        )
        .await
        .unwrap();
    assert!(field::drain(&mut session, "event_hourly").await.is_whole);
    assert_same(&session, &of(ROWS, "bucket", "2024-04-01"), &of(TRUTH, "bucket", filled_to)).await;
    field::backfill(&db, &Default::default()).await.unwrap();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn the_window_function_and_a_restart_begin_such_a_month_anew() {
    let (db, mut session) = begun().await;
    session
        .batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2024-03-02 05:10+00', 1)")
        .await
        .unwrap();
    let query = "SELECT highwater.event_hourly_window('2024-03-02 00:00+00', '2024-03-03 00:00+00')";
    assert!(number(&session, query).await > 0);
    assert_same(&session, ROWS, TRUTH).await;
    let again = highwater::rollup::backfill::Options { restart: true, ..Default::default() };
    session.batch("UPDATE highwater.rollup_slice SET state = 'pending' WHERE rollup = 'event_hourly' AND slice_start = '2024-03-01 00:00+00'").await.unwrap();
    assert_eq!(part(&session).await, "part");
    session.batch("UPDATE highwater.event_hourly SET amount = 0").await.unwrap();
    field::backfill(&db, &again).await.unwrap();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_backfill_killed_inside_a_month_goes_on_where_its_last_part_ended() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(&format!("{} INSERT INTO app.event (tenant, at, key, note, amount) SELECT 't' || n % 7, timestamptz '2022-01-01 00:00+00' + n * interval '133 seconds', 'k' || n % 4, 'note ' || n % 5, n FROM generate_series(1, 20000) AS n; ANALYZE app.event", field::SOURCE)).await.unwrap();
    field::add(&mut session, field::DEFINITION).await.unwrap();
    let backfill = ["--format", "json", "backfill", "event_hourly", "--max-slice-time", "20ms"];
    let reached =
        "SELECT coalesce(max(filled_to), '-infinity') > '2022-01-03 00:00+00' FROM highwater.rollup_slice";
    let running = spawn(&db, &[&backfill[..], &["--sleep-between-slices", "100ms"]].concat());
    field::until(&session, "a part is filled", reached).await;
    running.signal(Signal::SIGKILL);
    assert!(running.ended().await.status.code().is_none());
    let at: String = session
        .query_one("SELECT to_char(filled_to AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM highwater.rollup_slice", &[])
        .await
        .unwrap()
        .get(0);
    session.batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2022-01-02 05:10+00', 1), ('t1', '2022-01-31 05:10+00', 1)").await.unwrap();
    assert_same(&session, LIVE, TRUTH).await;
    let ended = highwater(&db, &backfill).await.success();
    let parts: Vec<serde_json::Value> = ended
        .stdout
        .lines()
        .chain(ended.stderr.lines())
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &serde_json::Value| line["event"] == "part")
        .collect();
    assert!(parts.iter().all(|part| part["to"].as_str().unwrap() > at.as_str()), "{at}: {parts:?}");
    field::assert_exact(&mut session).await;
    highwater(&db, &["rollup", "verify", "event_hourly"]).await.success();
    assert_eq!(number(&session, "SELECT max(attempts)::bigint FROM highwater.rollup_slice").await, 1);
}
