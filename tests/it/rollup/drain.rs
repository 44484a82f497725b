//! Drain: marked buckets are made right, the others are left alone.

use highwater::db::{DbError, Executor};
use highwater::rollup::RollupName;
use highwater::rollup::drain::{self, Outcome};

use super::field::{self, DEFINITION, ROWS, SOURCE, TRUTH};
use crate::support::program::highwater;

const INSERT: &str = "INSERT INTO app.event (tenant, at, key, amount) VALUES ";

#[tokio::test]
async fn late_event_reopens_its_bucket() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch(&format!("{INSERT} ('t1', '2024-01-02 03:04+00', 'late', 1)")).await.unwrap();
    let drained = highwater(&db, &["rollup", "drain", "event_hourly", "--format", "json"]).await.success();
    let report: serde_json::Value = serde_json::from_str(&drained.stdout).unwrap();
    assert_eq!(
        (&report["marks"], &report["buckets"], &report["rows_written"]),
        (&1.into(), &1.into(), &1.into())
    );
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn an_event_in_a_month_nobody_knew_makes_its_slice() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session
        .batch(&format!(
            "{INSERT} ('t1', '1999-12-31 23:59+00', 'old', 1), ('t1', '2050-01-01 00:00+00', 'new', 1)"
        ))
        .await
        .unwrap();
    field::assert_exact(&mut session).await;
    let found = "SELECT slice_start, state, rows FROM highwater.rollup_slice WHERE slice_start < '2024-01-01' OR slice_start > '2024-08-02'";
    field::assert_same(&session, found, "VALUES ('1999-12-01 00:00+00'::timestamptz, 'complete', 1::bigint), ('2050-01-01 00:00+00', 'complete', 1)").await;
    field::assert_same(&session, "SELECT highwater.assert_rollup_current('event_hourly')::text", "SELECT ''")
        .await;
}

#[tokio::test]
async fn a_bucket_that_came_out_empty_is_removed() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("DELETE FROM app.event WHERE tenant = 't1' AND at < '2024-02-01'").await.unwrap();
    field::assert_exact(&mut session).await;
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly WHERE tenant = 't1' AND bucket < '2024-02-01 00:00+00'").await, 0);
}

#[tokio::test]
async fn rows_that_are_right_are_not_rewritten() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let place = "SELECT tableoid::regclass::text AS place, ctid::text AS item, xmin::text AS writer FROM highwater.event_hourly";
    session
        .batch(&format!("CREATE TABLE app.before AS {place} WHERE key IS DISTINCT FROM 'k2'"))
        .await
        .unwrap();
    // Every bucket is marked, one key of them changes.
    session.batch("UPDATE app.event SET amount = amount").await.unwrap();
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE key = 'k2'").await.unwrap();
    let report = field::drain(&mut session, "event_hourly").await;
    assert!(report.buckets > 1000, "{report:?}");
    assert_eq!(
        report.rows,
        field::number(&session, "SELECT count(*) FROM highwater.event_hourly WHERE key = 'k2'").await
    );
    field::assert_same(
        &session,
        &format!("{place} WHERE key IS DISTINCT FROM 'k2'"),
        "SELECT * FROM app.before",
    )
    .await;
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_pass_takes_whole_buckets_oldest_first() {
    let db = field::complete().await;
    let mut session = db.session().await;
    for day in ["05", "07", "06", "05", "05"] {
        session.batch(&format!("{INSERT} ('t1', '2024-03-{day} 12:00+00', 'x', 1)")).await.unwrap();
    }
    let row = session.query_one("SELECT * FROM highwater.event_hourly_drain(2)", &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, &str>("outcome"), row.get::<_, i64>("buckets"), row.get::<_, i64>("marks")),
        ("drained", 2, 4)
    );
    field::assert_same(
        &session,
        "SELECT bucket FROM highwater.event_hourly_mark",
        "SELECT timestamptz '2024-03-06 12:00+00'",
    )
    .await;
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_small_pending_month_is_filled_by_the_drain_that_meets_it() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    session.batch(&format!("{INSERT} ('t1', '2024-03-05 12:00+00', 'x', 1)")).await.unwrap();
    let report = field::drain(&mut session, "event_hourly").await;
    assert_eq!(report.pending, 7);
    let march = "bucket >= '2024-03-01 00:00+00' AND bucket < '2024-04-01 00:00+00'";
    field::assert_same(&session, ROWS, &format!("SELECT * FROM ({TRUTH}) AS t WHERE {march}")).await;
}

#[tokio::test]
async fn a_large_pending_month_is_left_to_the_backfill() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session
        .batch(&format!(
            "{SOURCE} INSERT INTO app.event (tenant, at, key, amount) SELECT 't1', timestamptz '2024-03-01 00:00+00' + n * interval '10 seconds', 'k', n
               FROM generate_series(1, 120000) AS n; ANALYZE app.event"
        ))
        .await
        .unwrap();
    field::add(&mut session, DEFINITION).await.unwrap();
    session
        .batch(&format!(
            "{INSERT} ('t1', '2024-03-05 12:00+00', 'x', 1); UPDATE app.event SET amount = 0 WHERE id = 7"
        ))
        .await
        .unwrap();
    let told = highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    assert!(told.stdout.contains("1 months are not backfilled"), "{told:?}");
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await, 0);
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly").await, 0);
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    field::assert_same(&session, ROWS, TRUTH).await;
}

#[tokio::test]
async fn a_drain_under_repeatable_read_raises() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch(&format!("{INSERT} ('t1', '2024-03-05 12:00+00', 'x', 1)")).await.unwrap();
    for call in [
        "drain()",
        "window('2024-01-01 00:00+00', '2024-02-01 00:00+00')",
        "fill('2024-01-01 00:00+00')",
        "expand()",
        "census()",
        "watermark()",
    ] {
        let tried = session
            .batch(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT highwater.event_hourly_{call}"))
            .await;
        session.batch("ROLLBACK").await.unwrap();
        let refused = tried.expect_err(call).to_string();
        assert!(refused.contains("READ COMMITTED"), "{refused}");
    }
    field::assert_exact(&mut session).await;
}

/// A database whose default is another isolation level would otherwise refuse every run of ours.
#[tokio::test]
async fn the_programs_own_sessions_are_read_committed() {
    let db = field::seeded().await;
    let session = db.session().await;
    session
        .batch(&format!(
            "ALTER DATABASE \"{}\" SET default_transaction_isolation = 'repeatable read'",
            db.name()
        ))
        .await
        .unwrap();
    highwater(&db, &["backfill", "event_hourly", "--parallel", "2"]).await.success();
    session.batch(&format!("{INSERT} ('t1', '2024-03-05 12:00+00', 'x', 1)")).await.unwrap();
    highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    field::assert_same(&session, ROWS, TRUTH).await;
}

/// The old design wrote the error in the transaction that then failed (c): its `last_error` was always empty.
#[tokio::test]
async fn an_error_outlives_the_transaction_that_failed() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch(&format!("{INSERT} ('t1', '2024-03-05 12:00+00', 'x', 1)")).await.unwrap();
    session
        .batch("ALTER TABLE highwater.event_hourly ADD CONSTRAINT full_up CHECK (key <> 'x') NOT VALID")
        .await
        .unwrap();
    let failed = highwater(&db, &["rollup", "drain", "event_hourly"]).await;
    assert!(failed.code() == 7 && failed.stderr.contains("full_up"), "{failed:?}");
    let recorded = "SELECT last_error FROM highwater.rollup WHERE name = 'event_hourly' AND last_error_at <= clock_timestamp()";
    assert!(field::text(&session, recorded).await.unwrap().contains("full_up"));
    assert_eq!(
        field::number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await,
        1,
        "the claim is rolled back"
    );
    let status = highwater(&db, &["status"]).await;
    assert!(status.code() == 2 && status.stdout.contains("full_up"), "{status:?}");
    session.batch("ALTER TABLE highwater.event_hourly DROP CONSTRAINT full_up").await.unwrap();
    field::assert_exact(&mut session).await;
    assert_eq!(
        field::text(&session, "SELECT last_error FROM highwater.rollup WHERE name = 'event_hourly'").await,
        None
    );
}

#[tokio::test]
async fn a_deadlock_is_tried_again() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch(&format!("{INSERT} ('t1', '2024-03-05 12:00+00', 'x', 1)")).await.unwrap();
    // The other side holds the row that a pass updates last, and then wants the slice that the pass holds.
    let mut other = db.session().await;
    other.batch("SET deadlock_timeout = '30s'").await.unwrap();
    let tx = other.begin().await.unwrap();
    tx.query("SELECT FROM highwater.rollup WHERE name = 'event_hourly' FOR UPDATE", &[]).await.unwrap();
    let name = RollupName::parse("event_hourly").unwrap();
    let passing = drain::pass(&session, &name, false);
    let crossing = async {
        let watcher = db.session().await;
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%event_hourly_drain%' AND datname = current_database())";
        field::until(&watcher, "the pass waits", waits).await;
        tx.query("SELECT FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND slice_start = '2024-03-01 00:00+00' FOR UPDATE", &[]).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (passed, ()) = tokio::join!(passing, crossing);
    assert_eq!(passed.unwrap().outcome, Outcome::Drained);
    field::assert_same(&session, ROWS, TRUTH).await;
    let deadlocks = "SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = current_database()";
    field::until(&session, "a deadlock was seen", deadlocks).await;
}

#[tokio::test]
async fn marks_that_cannot_be_claimed_are_an_error_and_no_endless_loop() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch("ALTER TABLE app.event ALTER tenant DROP NOT NULL; INSERT INTO app.event (tenant, at) VALUES (NULL, '2024-03-05')").await.unwrap();
    let failed = tokio::time::timeout(
        crate::support::eventually::DEADLINE,
        highwater(&db, &["rollup", "drain", "event_hourly"]),
    )
    .await
    .unwrap();
    assert!(
        failed.code() == 7 && failed.stderr.contains("NULL") && failed.stderr.contains("rollup drop"),
        "{failed:?}"
    );
    let error = session.query("SELECT highwater.event_hourly_drain()", &[]).await.unwrap_err();
    assert!(matches!(error, DbError::Server(_)), "{error}");
}
