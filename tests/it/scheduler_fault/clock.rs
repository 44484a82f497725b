//! Clocks of the machines that workers run on: nobody asks them what time it is.

use std::path::Path;
use std::time::Duration;

use highwater::scheduler::job::When;
use highwater::scheduler::planner::CatchUp;
use nix::sys::signal::Signal;

use crate::scheduler_site::{bare, count, job, until};
use crate::support::program::{command, start};
use crate::support::scale::scaled;

/// The library that the program `faketime` loads into others, for programs with threads.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[tokio::test]
async fn workers_whose_clocks_are_an_hour_off_run_nothing_early_twice_or_never() {
    if !Path::new(LIBRARY).exists() {
        assert!(highwater::ground::config::env("CI").is_none(), "CI must have faketime");
        eprintln!("not tried: no faketime here");
        return;
    }
    let db = bare().await;
    job(&db, "tick", |draft| {
        draft.when = When::Every(Duration::from_secs(1));
        draft.catch_up = CatchUp::Every;
    })
    .await;
    let mut workers = Vec::new();
    for offset in ["+1h", "-1h"] {
        let mut skewed = command(&["worker", "--listen", "127.0.0.1:0"]);
        skewed.env("DATABASE_URL", db.url()).env("LD_PRELOAD", LIBRARY).env("FAKETIME", offset);
        workers.push(start(&mut skewed));
    }
    let ticks = scaled(6, 600);
    until(
        &db,
        &format!("SELECT (count(*) >= {ticks})::int::bigint FROM highwater.plan WHERE state = 'done'"),
    )
    .await;
    for worker in workers {
        worker.signal(Signal::SIGTERM);
        worker.ended().await.success();
    }
    let early = "SELECT count(*) FROM highwater.plan WHERE started_at < plan_time";
    assert_eq!(count(&db, early).await, 0);
    let twice = "SELECT count(*) - count(DISTINCT plan_time) FROM effect";
    assert_eq!(count(&db, twice).await, 0);
    let missed = "SELECT extract(epoch FROM max(plan_time) - min(plan_time))::bigint + 1 - count(*) FROM highwater.plan";
    assert_eq!(count(&db, missed).await, 0, "a plan for every second");
    let at_its_time =
        "SELECT count(*) FROM highwater.plan WHERE abs(extract(epoch FROM plan_time - now())) > 1800";
    assert_eq!(count(&db, at_its_time).await, 0, "by the database's clock");
}
