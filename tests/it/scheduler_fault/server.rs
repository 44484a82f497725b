//! The server: stopped as by a power failure, and replaced by its standby.

use std::time::{Duration, Instant};

use highwater::db::{Executor, connect};
use nix::sys::signal::Signal;

use super::network::{all_done_once, holds, want, with_job};
use crate::support::cluster::Cluster;
use crate::support::program::{command, start};

#[tokio::test]
async fn a_worker_outlives_the_servers_restart_and_its_promoted_standby() {
    let primary = Cluster::primary();
    let session = connect::connect(&primary.target(), "test").await.unwrap();
    with_job(&primary.url(), &session).await;
    let standby = primary.standby();
    let url = format!(
        "postgresql://postgres@{},{}/postgres?target_session_attrs=read-write",
        standby.address(),
        primary.address()
    );
    let worker = start(command(&["worker", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", &url));
    want(&session, 3).await;
    all_done_once(&session).await;

    // Mid-job, as a power failure would.
    session
        .batch(
            "CREATE OR REPLACE FUNCTION tick(plan_time timestamptz) RETURNS void LANGUAGE sql AS
          $$ INSERT INTO effect VALUES ($1); SELECT pg_sleep(2) $$",
        )
        .await
        .unwrap();
    want(&session, 3).await;
    holds(
        &session,
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%tick%' AND wait_event = 'PgSleep'",
    )
    .await;
    primary.stop_immediately();
    primary.start();
    let returned = Instant::now();
    let session = connect::connect(&primary.target(), "test").await.unwrap();
    session
        .batch(
            "CREATE OR REPLACE FUNCTION tick(plan_time timestamptz) RETURNS void LANGUAGE sql AS
          $$ INSERT INTO effect VALUES ($1) $$",
        )
        .await
        .unwrap();
    want(&session, 1).await;
    holds(&session, "SELECT count(*) FROM highwater.plan WHERE state = 'done' AND plan_time = (SELECT max(plan_time) FROM highwater.plan)").await;
    // Five seconds by contract, on a machine with nothing else to do.
    assert!(returned.elapsed() < Duration::from_secs(15), "{:?}", returned.elapsed());
    all_done_once(&session).await;

    // The standby takes over with everything that it has received.
    let other = connect::connect(&standby.target(), "test").await.unwrap();
    let received = session.query_one("SELECT count(*) FROM effect", &[]).await.unwrap().get::<_, i64>(0);
    holds(&other, &format!("SELECT (count(*) = {received})::int::bigint FROM effect")).await;
    primary.stop_immediately();
    standby.promote();
    drop(other);
    let session = connect::connect(&standby.target(), "test").await.unwrap();
    want(&session, 3).await;
    all_done_once(&session).await;
    assert_eq!(
        session.query_one("SELECT count(*) FROM effect", &[]).await.unwrap().get::<_, i64>(0),
        received + 3
    );
    worker.signal(Signal::SIGTERM);
    let ended = worker.ended().await.success();
    let lines = ended.stderr.lines().count();
    assert!(lines < 60, "no busy loop: {lines} lines\n{}", ended.stderr);
}
