//! Several backfills, and signals.

use highwater::db::Executor;
use nix::sys::signal::Signal;

use super::field::{self, ROWS, TRUTH};
use crate::support::program::{highwater, spawn};

const HOLD: &str = "SELECT pg_advisory_lock(hashtext('highwater.backfill'), hashtext('event_hourly'))";

#[tokio::test]
async fn two_backfills_take_turns_and_name_each_other() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let slow = [
        "backfill",
        "event_hourly",
        "--parallel",
        "1",
        "--sleep-between-slices",
        "150ms",
        "--format",
        "json",
    ];
    let one = spawn(&db, &slow);
    field::until(&session, "the first one begins", "SELECT EXISTS (SELECT FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete')").await;
    let refused = highwater(&db, &["backfill", "event_hourly", "--no-wait"]).await;
    assert_eq!(refused.code(), 5, "{refused:?}");
    assert!(refused.stderr.contains("highwater/backfill") && refused.stderr.contains("pid"), "{refused:?}");
    let other = highwater(&db, &["backfill", "event_hourly"]).await.success();
    assert!(other.stderr.contains("waiting for another backfill: pid"), "{other:?}");
    one.ended().await.success();
    assert_eq!(field::number(&session, "SELECT max(attempts)::bigint FROM highwater.rollup_slice").await, 1);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn an_interrupted_backfill_says_how_to_go_on() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let running =
        spawn(&db, &["backfill", "event_hourly", "--parallel", "1", "--sleep-between-slices", "30s"]);
    field::until(&session, "a first slice", "SELECT EXISTS (SELECT FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete')").await;
    running.signal(Signal::SIGINT);
    let ended = running.ended().await;
    assert_eq!(ended.code(), 130, "{ended:?}");
    assert!(
        ended.stdout.contains(
            "interrupted with 7 months left; \"highwater backfill event_hourly\" goes on from here"
        ),
        "{ended:?}"
    );
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    assert_eq!(field::number(&session, "SELECT max(attempts)::bigint FROM highwater.rollup_slice").await, 1);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_second_signal_rolls_the_slice_in_hand_back() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    // A slice that takes for ever: its fill waits for this lock.
    let mut blocker = db.session().await;
    field::backfill(
        &db,
        &highwater::rollup::backfill::Options {
            max_duration: Some(Default::default()),
            ..Default::default()
        },
    )
    .await
    .unwrap();
    let tx = blocker.begin().await.unwrap();
    tx.batch("LOCK TABLE app.event IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let running = spawn(&db, &["backfill", "event_hourly", "--parallel", "1"]);
    field::until(
        &session,
        "the fill waits",
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'app.event'::regclass AND NOT granted)",
    )
    .await;
    running.signal(Signal::SIGINT);
    // Signals merge while one is pending: the second is sent until it has worked.
    let pid = nix::unistd::Pid::from_raw(running.pid());
    let ended = running.ended();
    tokio::pin!(ended);
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended,
            () = tokio::time::sleep(std::time::Duration::from_millis(100)) => { let _ = nix::sys::signal::kill(pid, Signal::SIGINT); }
        }
    };
    assert_eq!(ended.code(), 130, "{ended:?}");
    tx.rollback().await.unwrap();
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_signal_ends_the_wait_for_another_backfill() {
    let db = field::seeded().await;
    let session = db.session().await;
    session.query(HOLD, &[]).await.unwrap();
    let running = spawn(&db, &["backfill", "event_hourly"]);
    let asks = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'highwater/backfill' AND query LIKE '%lock_holder%' AND datname = current_database())";
    field::until(&session, "it waits", asks).await;
    running.signal(Signal::SIGINT);
    let ended = running.ended().await;
    assert_eq!(ended.code(), 130, "{ended:?}");
}

#[tokio::test]
async fn a_slice_that_someone_else_writes_comes_last() {
    let db = field::seeded().await;
    let session = db.session().await;
    session.query("SELECT highwater.event_hourly_census()", &[]).await.unwrap();
    let mut holder = db.session().await;
    let tx = holder.begin().await.unwrap();
    tx.query("SELECT FROM highwater.rollup_slice WHERE slice_start = '2024-08-01 00:00+00' FOR UPDATE", &[])
        .await
        .unwrap();
    let running = spawn(&db, &["backfill", "event_hourly"]);
    field::until(&session, "the others are done", "SELECT count(*) = 7 FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete'").await;
    field::until(&session, "it waits for the last", "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%event_hourly_fill%' AND datname = current_database())").await;
    tx.rollback().await.unwrap();
    running.ended().await.success();
    field::assert_same(&session, ROWS, TRUTH).await;
}
