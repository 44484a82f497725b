//! The watermark, and the ways in which a design that filters by one loses changes. Each test says what the old design
//! did: it rolled up rows whose `updated_at` lay between its watermark and five minutes ago, and stamped the latter.

use highwater::db::{Executor, Session};
use highwater::rollup::backfill::Options;

use super::field::{self, ROWS, TRUTH};
use crate::support::program::highwater;

async fn watermark(session: &Session) -> i64 {
    field::number(session, "SELECT (extract(epoch FROM watermark_at) * 1000000)::bigint FROM highwater.rollup WHERE name = 'event_hourly'").await
}

async fn now(session: &Session) -> i64 {
    field::number(session, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").await
}

/// a. The old design lost a transaction that was open while its watermark passed the rows' `updated_at`.
#[tokio::test]
async fn a_transaction_open_across_the_watermark_is_not_lost() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let mut writer = db.session().await;
    let open = writer.begin().await.unwrap();
    open.batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2024-03-05', 100); UPDATE app.event SET amount = 0 WHERE id = 9").await.unwrap();
    let opened = now(&session).await;
    field::drain(&mut session, "event_hourly").await;
    assert!(watermark(&session).await > opened, "an open transaction does not hold the watermark back");
    open.commit().await.unwrap();
    field::drain(&mut session, "event_hourly").await;
    field::assert_same(&session, ROWS, TRUTH).await;
}

/// b. The old design stamped its watermark after the last slice: what was committed during it was lost.
#[tokio::test]
async fn a_commit_during_the_last_slice_is_not_lost() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    // The fill of the last slice waits for this lock when it has already claimed and is about to compute.
    let mut blocker = db.session().await;
    field::backfill(
        &db,
        &Options {
            range: highwater::rollup::ledger::Range {
                from: Some("2024-02-01T00:00:00Z".parse().unwrap()),
                to: None,
            },
            ..Options::default()
        },
    )
    .await
    .unwrap();
    let tx = blocker.begin().await.unwrap();
    tx.batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2024-01-05', 100), ('t', '2024-05-05', 100)").await.unwrap();
    tx.query("SELECT FROM highwater.rollup_slice WHERE slice_start = '2024-01-01 00:00+00' FOR UPDATE", &[])
        .await
        .unwrap();
    let filling = highwater(&db, &["backfill", "event_hourly"]);
    let committing = async {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%event_hourly_fill%' AND datname = current_database())";
        field::until(&session, "the fill waits", waits).await;
        tx.commit().await.unwrap();
    };
    let (filled, ()) = tokio::join!(filling, committing);
    filled.success();
    field::drain(&mut session, "event_hourly").await;
    field::assert_same(&session, ROWS, TRUTH).await;
}

/// i. The old design pruned invalidations after seven days, reached or not. Marks have no age.
#[tokio::test]
async fn a_mark_is_not_forgotten_however_long_drains_pause() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("DELETE FROM app.event WHERE id % 3 = 0; UPDATE highwater.event_hourly_mark SET marked_at = now() - interval '400 days'").await.unwrap();
    field::assert_exact(&mut session).await;
    // The ledger's clock never goes back for it.
    assert!(now(&session).await - watermark(&session).await < 60_000_000);
}

/// k1. The old hook stamped without rolling when its watermark was less than an hour old.
#[tokio::test]
async fn a_young_watermark_is_no_reason_to_skip_work() {
    let db = field::complete().await;
    let session = db.session().await;
    session
        .batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', now() - interval '10 minutes', 100)")
        .await
        .unwrap();
    let before = watermark(&session).await;
    // A backfill has nothing to fill; it must not claim what it did not do.
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    let mark = field::number(
        &session,
        "SELECT (extract(epoch FROM min(marked_at)) * 1000000)::bigint FROM highwater.event_hourly_mark",
    )
    .await;
    let after = watermark(&session).await;
    assert!(before <= after && after <= mark, "{before} {after} {mark}");
    highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    assert!(watermark(&session).await > mark);
    field::assert_same(&session, ROWS, TRUTH).await;
}

/// k2. The old design deleted its queue in a second statement: what was queued in between was dropped unprocessed.
#[tokio::test]
async fn a_mark_made_between_claim_and_computation_stays() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = 1 WHERE id = 10").await.unwrap();
    // A pass that has claimed its bucket waits here, before it computes.
    let mut blocker = db.session().await;
    let gate = blocker.begin().await.unwrap();
    gate.batch("LOCK TABLE highwater.event_hourly_2024_01 IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let passing = session.batch("SELECT highwater.event_hourly_drain()");
    let writing = async {
        let writer = db.session().await;
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%event_hourly_drain%' AND datname = current_database())";
        field::until(&writer, "the pass waits", waits).await;
        writer.batch("UPDATE app.event SET amount = 2 WHERE id = 10").await.unwrap();
        gate.rollback().await.unwrap();
    };
    let (passed, ()) = tokio::join!(passing, writing);
    passed.unwrap();
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await, 1);
    field::assert_exact(&mut session).await;
}

/// k3. The old command's range ended at the newest event, its filter was the time of change: later corrections were
/// stamped over.
#[tokio::test]
async fn a_correction_made_after_the_newest_event_counts() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount * 2 WHERE at < '2024-02-01'").await.unwrap();
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    field::assert_same(&session, ROWS, TRUTH).await;
    session.batch("UPDATE app.event SET amount = amount * 2 WHERE at < '2024-02-01'").await.unwrap();
    field::assert_exact(&mut session).await;
}

/// k11. The old queue moved a key to the end whenever it became dirty again: an active one was never processed.
#[tokio::test]
async fn a_bucket_that_is_dirtied_all_the_time_is_drained_all_the_same() {
    let db = field::complete().await;
    let session = db.session().await;
    for round in 0..5 {
        let hot =
            "INSERT INTO app.event (tenant, at, key, amount) VALUES ('hot', '2024-03-05 12:00+00', 'k', 1)";
        session.batch(hot).await.unwrap();
        let many = format!(
            "INSERT INTO app.event (tenant, at, key, amount) SELECT 't' || n, timestamptz '2024-03-06 00:00+00' + {round} * interval '1 hour', 'k', 1 FROM generate_series(1, 5) AS n"
        );
        session.batch(&many).await.unwrap();
        session.batch(hot).await.unwrap();
        session.batch("SELECT highwater.event_hourly_drain(1)").await.unwrap();
        let seen = "SELECT coalesce(max(events), 0)::bigint FROM highwater.event_hourly WHERE tenant = 'hot'";
        if field::number(&session, seen).await == 2 * (round + 1) {
            return;
        }
    }
    panic!("the hot bucket starves");
}

#[tokio::test]
async fn the_watermark_never_moves_back_and_is_the_databases_time() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let mut last = watermark(&session).await;
    for change in [
        "SELECT 1",
        "UPDATE app.event SET amount = 1 WHERE id = 3",
        "TRUNCATE app.event",
        "UPDATE highwater.rollup SET watermark_at = clock_timestamp()",
    ] {
        let before = now(&session).await;
        session.batch(change).await.unwrap();
        field::drain(&mut session, "event_hourly").await;
        let after = now(&session).await;
        let moved = watermark(&session).await;
        assert!(
            last <= moved && before <= moved && moved <= after,
            "{change}: {last} {before} {moved} {after}"
        );
        last = moved;
    }
    // An old mark, come to light late, holds it where it is.
    session.batch("INSERT INTO highwater.event_hourly_mark (tenant, bucket, marked_at) VALUES ('t', '2024-01-01 00:00+00', '2020-01-01')").await.unwrap();
    session.query("SELECT highwater.event_hourly_watermark()", &[]).await.unwrap();
    assert_eq!(watermark(&session).await, last);
}

#[tokio::test]
async fn a_claim_that_has_not_committed_holds_the_watermark() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = 1 WHERE id = 3").await.unwrap();
    let mark = field::number(
        &session,
        "SELECT (extract(epoch FROM min(marked_at)) * 1000000)::bigint FROM highwater.event_hourly_mark",
    )
    .await;
    let mut other = db.session().await;
    let tx = other.begin().await.unwrap();
    // All but the watermark of a pass: that would lock the rollup's row.
    tx.query("SELECT FROM highwater.rollup_slice WHERE rollup = 'event_hourly' FOR UPDATE", &[])
        .await
        .unwrap();
    tx.batch("DELETE FROM highwater.event_hourly_mark").await.unwrap();
    session.query("SELECT highwater.event_hourly_watermark()", &[]).await.unwrap();
    assert!(watermark(&session).await <= mark);
    tx.rollback().await.unwrap();
    field::assert_exact(&mut session).await;
    assert!(watermark(&session).await > mark);
}
