//! What is between worker and server: cuts, silence, refusals, a pooler.

use std::time::{Duration, Instant};

use highwater::db::{Executor, Session, connect};
use nix::sys::signal::Signal;

use crate::scheduler_site::{bare, count, due, job, migrated, until};
use crate::support::cluster::Cluster;
use crate::support::pooler::PgBouncer;
use crate::support::program::{command, run, start};
use crate::support::proxy::{Mode, Proxy};
use crate::support::scale::scaled;

/// Waits until a query counts more than nothing, on a session that no fault touches.
pub async fn holds(session: &Session, query: &str) {
    let begun = Instant::now();
    while session.query_one(query, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(90), "not within 90 s: {query}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server with a job `tick`, which may be asked for by hand and leaves one effect a run.
pub async fn with_job(url: &str, session: &Session) {
    run(command(&["migrate", "up"]).env("DATABASE_URL", url)).await.success();
    let setting = "CREATE TABLE effect (plan_time timestamptz NOT NULL);
        CREATE FUNCTION tick(plan_time timestamptz) RETURNS void LANGUAGE sql AS
          $$ INSERT INTO effect VALUES ($1); SELECT pg_sleep(0.05) $$;
        DELETE FROM highwater.job";
    session.batch(setting).await.unwrap();
    let add = [
        "job",
        "add",
        "tick",
        "--every",
        "1d",
        "--function",
        "tick",
        "--allow-overlap",
        "--max-crashes",
        "1000",
        "--backoff",
        "1ms",
    ];
    run(command(&add).env("DATABASE_URL", url)).await.success();
}

/// Asks for runs by hand, all at once.
pub async fn want(session: &Session, runs: usize) {
    for _ in 0..runs {
        highwater::scheduler::job::run_now(session, "tick", None).await.unwrap();
    }
}

/// Every plan done, with one effect each.
pub async fn all_done_once(session: &Session) {
    holds(session, "SELECT (count(*) = 0)::int::bigint FROM highwater.plan WHERE state <> 'done'").await;
    let differs = "SELECT count(*) FROM (SELECT plan_time FROM highwater.plan EXCEPT ALL SELECT plan_time FROM effect) AS lost";
    assert_eq!(session.query_one(differs, &[]).await.unwrap().get::<_, i64>(0), 0, "an effect for each plan");
    let twice = "SELECT (SELECT count(*) FROM effect) - (SELECT count(*) FROM highwater.plan)";
    assert_eq!(session.query_one(twice, &[]).await.unwrap().get::<_, i64>(0), 0, "and no second one");
}

#[tokio::test]
async fn connections_that_are_cut_refused_or_silent_cost_time_and_nothing_else() {
    let cluster = Cluster::primary();
    let session = connect::connect(&cluster.target(), "test").await.unwrap();
    with_job(&cluster.url(), &session).await;
    let proxy = Proxy::before(cluster.port).await;
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", proxy.port);
    let worker = start(command(&["worker", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", &url));
    want(&session, 20).await;
    holds(&session, "SELECT count(*) FROM effect").await;
    // In the middle of answers, those of COMMIT among them.
    for round in 0..scaled(6, 200) {
        proxy.set(Mode::CutAfter(600 + 977 * round % 7_000));
        want(&session, 5).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    proxy.set(Mode::Refuse);
    want(&session, 5).await;
    let before = proxy.accepted();
    let refused_for = Duration::from_secs(4);
    tokio::time::sleep(refused_for).await;
    let tries = proxy.accepted() - before;
    assert!(tries > 0, "it tries again");
    // Main loop, heartbeat, finisher, listener and the runs in hand, each at most ten times in its first second, then slower.
    assert!(tries < 150, "a busy loop: {tries} tries in {refused_for:?}");
    if scaled(0, 1) == 1 {
        proxy.set(Mode::Pass);
        all_done_once(&session).await;
        want(&session, 20).await;
        proxy.set(Mode::Swallow);
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
    proxy.set(Mode::Pass);
    all_done_once(&session).await;
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
}

#[tokio::test]
async fn behind_a_transaction_pooler_everything_works() {
    let db = bare().await;
    let Some(pooler) = PgBouncer::start(&db, "pool_mode = transaction\ndefault_pool_size = 4").await else {
        return;
    };
    job(&db, "many", |draft| draft.allows_overlap = true).await;
    due(&db, "many", 40).await;
    let mut pooled = command(&["worker", "--listen", "127.0.0.1:0"]);
    let worker = start(pooled.env("DATABASE_URL", pooler.url(&db)).env("HIGHWATER_DIRECT_URL", db.url()));
    until(&db, "SELECT (count(*) >= 40)::int::bigint FROM highwater.plan WHERE state = 'done'").await;
    assert_eq!(count(&db, "SELECT count(*) FROM effect").await, 40);
    let direct = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'highwater/worker listen'";
    until(&db, direct).await;
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
}

#[tokio::test]
async fn rollups_stay_current_behind_a_transaction_pooler() {
    let db = migrated().await;
    let Some(pooler) = PgBouncer::start(&db, "pool_mode = transaction\ndefault_pool_size = 4").await else {
        return;
    };
    let worker = start(command(&["worker", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", pooler.url(&db)));
    let insert = "INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model, input_tokens)
        SELECT gen_random_uuid()::text, 'acme', now(), 'r', 'a', 'p', 'm', 1 FROM generate_series(1, 10)";
    for number in 1..=3 {
        db.session().await.batch(insert).await.unwrap();
        until(&db, &format!("SELECT count(*) FROM (SELECT sum(event_count) FROM highwater.usage_hourly) AS r(n) WHERE n = {number}0")).await;
    }
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
}
