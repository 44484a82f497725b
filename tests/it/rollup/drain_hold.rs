//! Months that someone holds, and clients that freeze: nobody else waits longer than must be.

use std::time::{Duration, Instant};

use highwater::db::Executor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::field::{self, ROWS, TRUTH};
use crate::support::program::{highwater, spawn};

const HOLD: &str = "SELECT FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND slice_start = '2024-03-01 00:00+00' FOR UPDATE";
const MARCH_AND_MAY: &str = "INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '2024-03-05 12:00+00', 'x', 1), ('t1', '2024-05-05 12:00+00', 'x', 1)";
const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%event_hourly_drain%' AND datname = current_database())";

/// The old design's tick returned 0 rows when another held its lock, and that was recorded as a success (k9).
#[tokio::test]
async fn busy_is_not_success() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let mut holder = db.session().await;
    let tx = holder.begin().await.unwrap();
    tx.query(HOLD, &[]).await.unwrap();
    session.batch(MARCH_AND_MAY).await.unwrap();
    let draining = spawn(&db, &["rollup", "drain", "event_hourly"]);
    field::until(&session, "the drain waits for March", WAITS).await;
    // May was not held up, March is not said to be done.
    let may = "bucket >= '2024-05-01 00:00+00'";
    field::assert_same(
        &session,
        &format!("SELECT * FROM ({ROWS}) AS o WHERE {may}"),
        &format!("SELECT * FROM ({TRUTH}) AS t WHERE {may}"),
    )
    .await;
    let row = session.query_one("SELECT * FROM highwater.event_hourly_drain()", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>("outcome"), "busy");
    let behind = "SELECT watermark_at <= (SELECT min(marked_at) FROM highwater.event_hourly_mark) FROM highwater.rollup WHERE name = 'event_hourly'";
    assert!(field::is_true(&session, behind).await);
    tx.rollback().await.unwrap();
    draining.ended().await.success();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_signal_ends_a_drain_that_waits() {
    let db = field::complete().await;
    let session = db.session().await;
    let mut holder = db.session().await;
    let tx = holder.begin().await.unwrap();
    tx.query(HOLD, &[]).await.unwrap();
    session.batch(MARCH_AND_MAY).await.unwrap();
    let draining = spawn(&db, &["rollup", "drain", "event_hourly"]);
    field::until(&session, "the drain waits for March", WAITS).await;
    draining.signal(Signal::SIGTERM);
    let ended = tokio::time::timeout(Duration::from_secs(20), draining.ended()).await.expect("it ends");
    assert_eq!(ended.code(), 130, "{ended:?}");
    let recorded =
        field::text(&session, "SELECT last_error FROM highwater.rollup WHERE name = 'event_hourly'").await;
    assert_eq!(recorded, None, "an end that was asked for is no error");
}

#[tokio::test]
async fn two_drains_at_once_share_the_months() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1").await.unwrap();
    let (one, other) = tokio::join!(
        highwater(&db, &["rollup", "drain", "event_hourly"]),
        highwater(&db, &["rollup", "drain", "event_hourly"])
    );
    one.success();
    other.success();
    field::assert_same(&session, ROWS, TRUTH).await;
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_drain_whose_client_is_frozen_does_not_freeze_its_month() {
    let db = field::complete().await;
    let mut session = db.session().await;
    // Every row of the rollup changes, in several passes; the client is stopped at several moments of them.
    for delay_ms in [0, 20, 60] {
        session.batch("UPDATE app.event SET amount = amount + 1").await.unwrap();
        let frozen = spawn(&db, &["rollup", "drain", "event_hourly"]);
        let connected = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'highwater/rollup drain' AND datname = current_database())";
        field::until(&session, "the drain is connected", connected).await;
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        let pid = Pid::from_raw(frozen.pid());
        kill(pid, Signal::SIGSTOP).unwrap();
        let begun = Instant::now();
        highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        field::assert_same(&session, ROWS, TRUTH).await;
        kill(pid, Signal::SIGCONT).unwrap();
        frozen.ended().await.success();
    }
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_writer_that_is_frozen_in_its_transaction_holds_nobody_up() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let programs =
        field::text(&session, "SELECT setting FROM pg_config WHERE name = 'BINDIR'").await.unwrap();
    let mut frozen = tokio::process::Command::new(format!("{programs}/psql"))
        .args(["-X", "-q", &db.url()])
        .stdin(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = frozen.stdin.take().unwrap();
    let begin = "SET application_name = 'frozen'; BEGIN; UPDATE app.event SET amount = 77 WHERE id = 5; DELETE FROM app.event WHERE id = 6;\n";
    tokio::io::AsyncWriteExt::write_all(&mut stdin, begin.as_bytes()).await.unwrap();
    let idle = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'frozen' AND state = 'idle in transaction' AND query LIKE 'DELETE%' AND datname = current_database())";
    field::until(&session, "the writer is in its transaction", idle).await;
    let pid = Pid::from_raw(i32::try_from(frozen.id().unwrap()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let begun = Instant::now();
    // The same buckets, other rows; and a whole rebuild.
    session.batch("UPDATE app.event SET amount = 78 WHERE id BETWEEN 7 AND 20").await.unwrap();
    highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    field::assert_same(&session, ROWS, TRUTH).await;
    highwater(&db, &["backfill", "event_hourly", "--restart"]).await.success();
    highwater(&db, &["rollup", "verify", "event_hourly"]).await.success();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    kill(pid, Signal::SIGCONT).unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"COMMIT;\n").await.unwrap();
    drop(stdin);
    assert!(frozen.wait().await.unwrap().success());
    assert!(!field::differences(&session, ROWS, TRUTH).await.is_empty());
    field::assert_exact(&mut session).await;
}
