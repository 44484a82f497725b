//! Pause and resume: the worker leaves a rollup alone, and nothing is lost meanwhile.

use highwater::db::Executor;
use nix::sys::signal::Signal;

use super::field::{self, ROWS, TRUTH};
use crate::support::program::{highwater, spawn};

#[tokio::test]
async fn a_paused_rollup_is_left_alone_until_it_is_resumed() {
    let db = field::complete().await;
    let session = db.session().await;
    // So that a test need not wait for minutes to turn.
    session
        .batch("UPDATE highwater.job SET cadence = '1 second' WHERE name IN ('drain', 'backfill'); DELETE FROM highwater.job WHERE name = 'verify'")
        .await
        .unwrap();
    let worker = spawn(&db, &["worker", "--listen", "127.0.0.1:0"]);
    let change = "UPDATE app.event SET amount = amount + 1 WHERE id % 5 = 0";
    session.batch(change).await.unwrap();
    let marked = "SELECT EXISTS (SELECT FROM highwater.event_hourly_mark)";
    field::until(&session, "the worker drains", &format!("SELECT NOT ({marked})")).await;
    let paused = highwater(&db, &["rollup", "pause", "event_hourly"]).await.success();
    assert!(paused.stdout.contains("paused since"), "{paused:?}");
    // Nothing of it runs any more, and what comes due is skipped.
    field::until(
        &session,
        "its runs end",
        "SELECT NOT EXISTS (SELECT FROM highwater.plan WHERE scope = 'event_hourly' AND state = 'running')",
    )
    .await;
    session.batch(change).await.unwrap();
    session.batch("UPDATE highwater.rollup_slice SET state = 'pending' WHERE rollup = 'event_hourly' AND slice_start = '2024-03-01 00:00+00'").await.unwrap();
    let skipped = "SELECT count(DISTINCT job) = 2 FROM highwater.plan WHERE scope = 'event_hourly' AND state = 'skipped'
                      AND plan_time > (SELECT max(marked_at) FROM highwater.event_hourly_mark)";
    field::until(&session, "plans are skipped", skipped).await;
    // Others go on.
    let usage = "SELECT count(*) > 1 FROM highwater.plan WHERE scope = 'usage_hourly' AND job = 'drain' AND state = 'done'
                    AND plan_time > (SELECT max(marked_at) FROM highwater.event_hourly_mark)";
    field::until(&session, "other rollups are drained", usage).await;
    assert!(field::is_true(&session, marked).await);
    session
        .batch("UPDATE highwater.event_hourly_mark SET marked_at = now() - interval '3 hours'")
        .await
        .unwrap();
    let status = highwater(&db, &["status"]).await;
    assert_eq!(status.code(), 1, "{status:?}");
    assert!(
        status.stdout.contains("  paused  ")
            && status.stdout.contains("highwater rollup resume event_hourly"),
        "{status:?}"
    );
    highwater(&db, &["rollup", "resume", "event_hourly"]).await.success();
    let current = "SELECT NOT EXISTS (SELECT FROM highwater.event_hourly_mark)
                      AND NOT EXISTS (SELECT FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'pending')";
    field::until(&session, "the worker catches up", current).await;
    field::assert_same(&session, ROWS, TRUTH).await;
    assert_eq!(highwater(&db, &["status"]).await.code(), 0);
    worker.signal(Signal::SIGTERM);
    assert!(worker.ended().await.status.success());
}

/// Pausing is for the worker: whoever asks for a drain by hand gets one.
#[tokio::test]
async fn a_paused_rollup_is_drained_by_hand() {
    let db = field::complete().await;
    highwater(&db, &["rollup", "pause", "event_hourly"]).await.success();
    highwater(&db, &["rollup", "pause", "event_hourly"]).await.success();
    let session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id % 5 = 0").await.unwrap();
    field::assert_exact(&mut db.session().await).await;
    let unknown = highwater(&db, &["rollup", "pause", "nothing"]).await;
    assert!(
        unknown.code() == 2
            && unknown.stderr.contains("installed are ")
            && unknown.stderr.contains(" event_hourly,"),
        "{unknown:?}"
    );
}
