//! What monitors see: metrics that Prometheus's own tools find clean, and a rollup that has stopped.

use std::process::Stdio;

use highwater::db::Executor;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::scheduler_site::{migrated, until};
use crate::support::TestDb;
use crate::support::program::{Running, highwater, spawn};

/// A worker, and the address that it answers at.
async fn worker(db: &TestDb) -> (Running, String) {
    let worker = spawn(db, &["worker", "--listen", "127.0.0.1:0"]);
    let address = worker.tells("listening on ").await;
    (worker, address.split(' ').next().unwrap().to_owned())
}

async fn page(db: &TestDb, address: &str, path: &str) -> String {
    highwater(db, &["health", "--url", &format!("http://{address}/{path}")]).await.stdout + "\n"
}

/// The value of a sample, named with its labels.
fn sample(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().unwrap()
}

#[tokio::test]
async fn the_page_is_clean_and_says_what_drains_claims_and_plans_do() {
    let db = migrated().await;
    let session = db.session().await;
    let failed = "INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, finished_at, error)
        VALUES ('watch', '', '2026-01-01 00:00:00+00', 'poisoned', true, now(), 'a test')";
    session.batch(failed).await.unwrap();
    let (worker, address) = worker(&db).await;
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'drain' AND scope = 'usage_hourly' AND state = 'running'").await;
    let event =
        "INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model)
        VALUES ('one', 'a-tenant-that-nobody-may-see', now(), 'r', 'a', 'p', 'm')";
    session.batch(event).await.unwrap();
    until(&db, "SELECT count(*) FROM highwater.usage_hourly").await;
    // The drain's pass is counted just after its commit.
    let mut text = page(&db, &address, "metrics").await;
    for _ in 0..100 {
        if text.contains("highwater_drained_marks_total{rollup=\"usage_hourly\"}") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        text = page(&db, &address, "metrics").await;
    }
    assert!(sample(&text, "highwater_drained_marks_total{rollup=\"usage_hourly\"}") >= 1.0);
    assert!(sample(&text, "highwater_drain_pass_seconds_count") >= 1.0);
    let claims = sample(&text, "highwater_claim_seconds_count");
    assert!(claims >= 1.0);
    assert_eq!(sample(&text, "highwater_claim_seconds_bucket{le=\"+Inf\"}"), claims);
    assert_eq!(sample(&text, "highwater_plans{state=\"poisoned\"}"), 1.0);
    assert!(sample(&text, "highwater_plans{state=\"running\"}") >= 1.0);
    assert!(sample(&text, "highwater_worker_sessions{state=\"lent\"}") >= 1.0);
    assert!(sample(&text, "highwater_lease_age_seconds") < 15.0);
    assert_eq!(sample(&text, "highwater_rollup_open_marks{rollup=\"usage_hourly\"}"), 0.0);
    assert!(text.contains("highwater_build_info{version=\""));
    assert!(!text.contains("a-tenant-that-nobody-may-see"), "{text}");
    clean(&text).await;
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
}

/// Lets promtool look at a page.
async fn clean(page: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match started {
        Ok(promtool) => promtool,
        Err(error) if highwater::ground::config::env("CI").is_none() => {
            eprintln!("promtool is missing, so nobody looked at the page: {error}");
            return;
        }
        Err(error) => panic!("promtool is wanted here: {error}"),
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).await.unwrap();
    let ended = promtool.wait_with_output().await.unwrap();
    let words = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && words.trim().is_empty(), "{words}\n{page}");
}

#[tokio::test]
async fn a_rollup_that_has_stopped_is_critical_everywhere() {
    let db = migrated().await;
    let session = db.session().await;
    let event = "INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model)
        VALUES ('one', 't', now(), 'r', 'a', 'p', 'm');
        UPDATE highwater.usage_hourly_mark SET marked_at = now() - interval '2 hours';
        UPDATE highwater.rollup SET watermark_at = now() - interval '2 hours', census_at = now() WHERE name = 'usage_hourly';
        UPDATE highwater.job SET paused_at = now() WHERE name IN ('drain', 'backfill')";
    session.batch(event).await.unwrap();
    let (worker, address) = worker(&db).await;
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'watch' AND state IN ('failed', 'retrying')")
        .await;
    let status = highwater(&db, &["status"]).await;
    assert!(status.code() == 2 && status.stdout.contains("changes wait for 2h"), "{status:?}");
    let ready = highwater(&db, &["health", "--url", &format!("http://{address}/readyz?verbose")]).await;
    assert!(ready.code() == 1 && ready.stdout.contains("[-] rollup usage_hourly: 72"), "{ready:?}");
    let text = page(&db, &address, "metrics").await;
    assert!(sample(&text, "highwater_rollup_lag_seconds{rollup=\"usage_hourly\"}") > 7_000.0);
    assert!(sample(&text, "highwater_rollup_oldest_mark_seconds{rollup=\"usage_hourly\"}") > 7_000.0);
    assert_eq!(sample(&text, "highwater_rollup_open_marks{rollup=\"usage_hourly\"}"), 1.0);
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
}
