//! A backfill holds back where the database has other worries, says so, and goes on afterwards.

use highwater::db::Executor;

use super::field;
use crate::support::program::{Running, highwater, spawn};

/// The first news of that kind.
async fn throttled(running: &mut Running) -> serde_json::Value {
    loop {
        let news: serde_json::Value = serde_json::from_str(&running.line().await).unwrap();
        if news["event"] == "throttled" {
            return news;
        }
        assert_ne!(news["event"], "report", "it ended without holding back");
    }
}

const COMPLETE: &str =
    "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete'";

#[tokio::test]
async fn a_limit_of_load_is_kept() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let busy = db.session().await;
    busy.batch("SET application_name = 'app'").await.unwrap();
    let pid = field::number(&busy, "SELECT pg_backend_pid()::bigint").await;
    let work = tokio::spawn(async move { busy.batch("SELECT pg_sleep(600)").await });
    field::until(
        &session,
        "the application is at work",
        &format!("SELECT state = 'active' AND query LIKE '%sleep%' FROM pg_stat_activity WHERE pid = {pid}"),
    )
    .await;

    let paused =
        highwater(&db, &["backfill", "event_hourly", "--max-load", "1", "--max-duration", "1s"]).await;
    assert_eq!(paused.code(), 11, "{paused:?}");
    assert!(
        paused.stderr.contains("event_hourly: waiting: 1 sessions are at work, --max-load is 1"),
        "{paused:?}"
    );
    let mut running = spawn(&db, &["backfill", "event_hourly", "--max-load", "1", "--format", "json"]);
    let news = throttled(&mut running).await;
    assert_eq!((&news["reason"], &news["waiting"]), (&"load".into(), &true.into()), "{news}");
    assert_eq!(field::number(&session, COMPLETE).await, 0);
    field::is_true(&session, &format!("SELECT pg_terminate_backend({pid})")).await;
    work.await.unwrap().unwrap_err();
    running.ended().await.success();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn whoever_waits_for_a_lock_of_ours_comes_first() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    let holder = db.session().await;
    holder.batch("BEGIN; LOCK TABLE app.event IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let waiter = db.session().await;
    waiter.batch("SET application_name = 'app'").await.unwrap();
    let work =
        tokio::spawn(async move { waiter.batch("UPDATE app.event SET amount = amount WHERE id = 1").await });
    field::until(&session, "somebody waits", "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'app' AND wait_event_type = 'Lock')").await;
    let mut running = spawn(&db, &["backfill", "event_hourly", "--format", "json"]);
    let news = throttled(&mut running).await;
    assert_eq!(news["reason"], "lock_wait", "{news}");
    holder.batch("COMMIT").await.unwrap();
    work.await.unwrap().unwrap();
    running.ended().await.success();
    field::assert_exact(&mut session).await;
}
