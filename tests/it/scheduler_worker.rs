//! The worker as a service runs it: fresh, killed, frozen, cut off from its database, asked to end.

use std::time::{Duration, Instant};

use highwater::db::{Executor, connect};
use highwater::scheduler::job::Kind;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::scheduler_site::{Claimer, bare, count, due, expire, hurry, job, migrated, plan, row, until};
use crate::support::TestDb;
use crate::support::program::{Running, command, highwater, run, spawn, start};
use crate::support::scale::scaled;

/// An address that was free just now.
fn address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn worker(db: &TestDb) -> Running {
    spawn(db, &["worker", "--listen", "127.0.0.1:0"])
}

const INSERT: &str = "INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model, input_tokens)
    VALUES (gen_random_uuid()::text, 'acme', now(), 'r', 'a', 'p', 'm', 1)";

#[tokio::test]
async fn a_fresh_installation_counts_within_two_seconds_and_needs_no_further_step() {
    let db = migrated().await;
    let address = address();
    let worker = spawn(&db, &["worker", "--listen", &address]);
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'drain' AND state = 'running'").await;
    let session = db.session().await;
    for number in 1..=5_i64 {
        session.batch(INSERT).await.unwrap();
        let committed = Instant::now();
        let counted =
            "SELECT count(*) FROM (SELECT sum(event_count) AS events FROM highwater.usage_hourly) AS r
                        WHERE r.events = ";
        until(&db, &format!("{counted}{number}")).await;
        assert!(committed.elapsed() < Duration::from_secs(2), "{:?}", committed.elapsed());
    }
    let ready =
        highwater(&db, &["health", "--url", &format!("http://{address}/readyz?verbose")]).await.success();
    assert!(
        ready.stdout.contains("[+] rollup usage_hourly") && ready.stdout.ends_with("ready\n"),
        "{ready:?}"
    );
    let metrics = highwater(&db, &["health", "--url", &format!("http://{address}/metrics")]).await.success();
    assert!(metrics.stdout.contains("\nhighwater_database_up 1\n"), "{metrics:?}");
    assert!(
        metrics.stdout.contains("\nhighwater_rollup_lag_seconds{rollup=\"usage_hourly\"} "),
        "{metrics:?}"
    );
    worker.signal(Signal::SIGTERM);
    let ended = worker.ended().await;
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.contains(&format!("listening on {address}")), "{ended:?}");
    let gone = highwater(&db, &["health", "--url", &format!("http://{address}/livez")]).await;
    assert_eq!(gone.code(), 1);
}

#[tokio::test]
async fn a_rollup_over_a_table_with_history_is_filled_and_watched() {
    let db = migrated().await;
    let history = "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, shop text NOT NULL, at timestamptz NOT NULL);
        CREATE INDEX ON orders (shop, at);
        INSERT INTO orders (shop, at) SELECT 'shop' || i % 3, now() - i * interval '20 hours' FROM generate_series(1, 300) AS i";
    db.session().await.batch(history).await.unwrap();
    let worker = worker(&db);
    let folder = tempfile::tempdir().unwrap();
    let mut add = command(&["rollup", "add", "--table", "orders", "--time", "at", "--tenant", "shop"]);
    run(add.current_dir(folder.path()).env("DATABASE_URL", db.url())).await.success();
    until(
        &db,
        "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'orders_hourly' AND state = 'complete'",
    )
    .await;
    until(
        &db,
        "SELECT count(*) FROM (SELECT sum(event_count) AS n FROM highwater.orders_hourly) AS r WHERE r.n = 300",
    )
    .await;
    highwater(&db, &["rollup", "verify", "orders_hourly"]).await.success();
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
}

#[tokio::test]
async fn a_terminated_worker_gives_the_attempt_of_its_drain_back() {
    let db = migrated().await;
    let worker = worker(&db);
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'drain' AND state = 'running'").await;
    worker.signal(Signal::SIGTERM);
    let asked = Instant::now();
    let ended = worker.ended().await;
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.lease").await, 0);
    let left = row(
        &db,
        "SELECT state, attempts, crash_attempts FROM highwater.plan WHERE job = 'drain'
                          ORDER BY plan_time DESC LIMIT 1",
    )
    .await;
    assert_eq!((left.get::<_, &str>(0), left.get::<_, i32>(1), left.get::<_, i32>(2)), ("due", 0, 0));
}

#[tokio::test]
async fn a_terminated_worker_lets_runs_in_hand_end_and_a_second_signal_does_not() {
    let db = bare().await;
    job(&db, "slow", |draft| draft.kind = Kind::Sql { function: "slow_work".into() }).await;
    due(&db, "slow", 1).await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%slow_work%' AND pid <> pg_backend_pid()";
    let patient = worker(&db);
    until(&db, running).await;
    patient.signal(Signal::SIGTERM);
    assert_eq!(patient.ended().await.code(), 0);
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.plan WHERE state = 'done'").await, 1);

    job(&db, "slower", |draft| draft.kind = Kind::Sql { function: "slow_work".into() }).await;
    db.session()
        .await
        .batch(
            "CREATE OR REPLACE FUNCTION slow_work(plan_time timestamptz) RETURNS void LANGUAGE sql AS
          $$ INSERT INTO effect (plan_time) VALUES ($1); SELECT pg_sleep(30) $$",
        )
        .await
        .unwrap();
    due(&db, "slower", 1).await;
    let hasty = worker(&db);
    until(&db, running).await;
    hasty.signal(Signal::SIGTERM);
    // Two signals of one kind that are sent at once are one.
    tokio::time::sleep(Duration::from_millis(200)).await;
    hasty.signal(Signal::SIGTERM);
    let asked = Instant::now();
    assert_eq!(hasty.ended().await.code(), 130);
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    let given_back =
        "SELECT count(*) FROM highwater.plan WHERE job = 'slower' AND state = 'due' AND attempts = 0";
    assert_eq!(count(&db, given_back).await, 1);
    assert_eq!(count(&db, "SELECT count(*) FROM effect").await, 1, "nothing half done");
}

#[tokio::test]
async fn killed_workers_lose_no_plan_and_do_none_twice() {
    let db = bare().await;
    // Some take long enough to be killed in the middle.
    let function = "CREATE FUNCTION uneven(plan_time timestamptz) RETURNS void LANGUAGE sql AS
        $$ INSERT INTO effect (plan_time) VALUES ($1); SELECT pg_sleep(random() * 0.05) $$";
    db.session().await.batch(function).await.unwrap();
    job(&db, "many", |draft| {
        draft.kind = Kind::Sql { function: "uneven".into() };
        draft.allows_overlap = true;
        draft.max_crashes = 1000;
        draft.max_attempts = 1000;
        draft.backoff = Duration::from_millis(1);
    })
    .await;
    let (kills, plans) = (scaled(9, 1_000), scaled(600, 10_000));
    let mut workers: Vec<Running> =
        (0..3).map(|_| spawn(&db, &["worker", "--listen", "127.0.0.1:0", "--concurrency", "4"])).collect();
    for round in 0..kills {
        // A share of the plans each time, so that there is work left for the last kill too.
        let (from, to) = (round * plans / kills + 1, (round + 1) * plans / kills);
        let share = format!(
            "INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, next_try_at)
             SELECT 'many', '', t, 'due', false, t
               FROM generate_series({from}, {to}) AS n, LATERAL (SELECT date_trunc('day', now()) - n * interval '1 minute' AS t) AS times"
        );
        db.session().await.batch(&share).await.unwrap();
        let begun = "SELECT count(*) FROM highwater.plan WHERE job = 'many' AND started_at IS NOT NULL AND plan_time <";
        until(&db, &format!("{begun} date_trunc('day', now()) - interval '1 minute' * {}", from - 1)).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let victim = workers.remove(0);
        victim.signal(Signal::SIGKILL);
        victim.ended().await;
        // The leases of the dead run out, and those of the living too, who so become zombies: the harder case.
        expire(&db).await;
        hurry(&db).await;
        workers.push(spawn(&db, &["worker", "--listen", "127.0.0.1:0", "--concurrency", "4"]));
        assert!(
            round + 1 < kills
                || count(&db, "SELECT count(*) FROM highwater.plan WHERE state = 'done'").await > 0
        );
    }
    let open = "SELECT (count(*) = 0)::int::bigint FROM highwater.plan WHERE job = 'many' AND plan_time < now() - interval '1 minute' AND state <> 'done'";
    let begun = Instant::now();
    while count(&db, open).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "plans are left");
        hurry(&db).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for worker in workers {
        worker.signal(Signal::SIGTERM);
        worker.ended().await.success();
    }
    let twice =
        "SELECT count(*) FROM (SELECT plan_time FROM effect GROUP BY plan_time HAVING count(*) > 1) AS twice";
    assert_eq!(count(&db, twice).await, 0);
    let lost = "SELECT count(*) FROM highwater.plan AS p WHERE p.state = 'done' AND NOT EXISTS (SELECT FROM effect AS e WHERE e.plan_time = p.plan_time)";
    assert_eq!(count(&db, lost).await, 0);
    assert!(count(&db, "SELECT count(*) FROM effect").await >= i64::try_from(plans).unwrap());
}

#[tokio::test]
async fn a_frozen_worker_writes_nothing_after_its_lease() {
    let db = bare().await;
    let function = "CREATE FUNCTION freeze(plan_time timestamptz) RETURNS void LANGUAGE sql AS
        $$ INSERT INTO effect (plan_time) VALUES ($1); SELECT pg_sleep(1) $$";
    db.session().await.batch(function).await.unwrap();
    job(&db, "freeze", |draft| draft.kind = Kind::Sql { function: "freeze".into() }).await;
    due(&db, "freeze", 1).await;
    let frozen = worker(&db);
    until(&db, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%freeze(%' AND state = 'active' AND pid <> pg_backend_pid()").await;
    frozen.signal(Signal::SIGSTOP);
    // Its transaction holds the lease until the server ends it for idling; only then can anyone take over.
    expire(&db).await;
    let thief = Claimer::new(&db, "thief").await;
    let begun = Instant::now();
    while highwater::scheduler::sweep::sweep(&thief.session).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the frozen holder freezes its plan");
        tokio::time::sleep(Duration::from_millis(100)).await;
        expire(&db).await;
    }
    let claimed = thief.one().await;
    let standing = plan(&db, claimed.run).await;
    frozen.signal(Signal::SIGCONT);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(count(&db, "SELECT count(*) FROM effect").await, 0, "the zombie's transaction is gone");
    assert_eq!(plan(&db, claimed.run).await, standing);
    frozen.signal(Signal::SIGTERM);
    frozen.ended().await.success();
    assert_eq!(plan(&db, claimed.run).await, standing);
}

#[tokio::test]
async fn a_worker_lives_through_a_crash_of_postgres_and_goes_on() {
    let own = TestDb::durable_server().await;
    let url = own.server.url(highwater::db::target::EMBEDDED_DATABASE);
    let typed = async |arguments: &[&str]| run(command(arguments).env("DATABASE_URL", &url)).await;
    typed(&["migrate", "up"]).await.success();
    let session = connect::connect(&own.target(), "test").await.unwrap();
    let setting = "CREATE TABLE effect (at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE FUNCTION slow() RETURNS void LANGUAGE sql AS $$ INSERT INTO effect DEFAULT VALUES; SELECT pg_sleep(3) $$";
    session.batch(setting).await.unwrap();
    typed(&["job", "add", "slow", "--every", "1h", "--function", "slow"]).await.success();
    typed(&["job", "run-now", "slow"]).await.success();
    let worker = start(command(&["worker", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", &url));
    let busy = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%slow()%' AND state = 'active' AND pid <> pg_backend_pid()";
    let begun = Instant::now();
    let pid: i32 = loop {
        if let Some(row) = session.query(busy, &[]).await.unwrap().first() {
            break row.get(0);
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // The death of one server process makes Postgres end all others, recover from its log and start anew.
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let crashed = Instant::now();
    let done = "SELECT crash_attempts, (SELECT count(*) FROM effect) FROM highwater.plan WHERE job = 'slow' AND state = 'done'";
    let (crashes, effects) = loop {
        if let Ok(session) = connect::connect(&own.target(), "test").await
            && let Ok(rows) = session.query(done, &[]).await
            && let Some(row) = rows.first()
        {
            break (row.get::<_, i32>(0), row.get::<_, i64>(1));
        }
        assert!(crashed.elapsed() < Duration::from_secs(60), "not back at work");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((crashes, effects), (1, 1), "a crash is no failed attempt, and nothing happened twice");
    // Recovery, the pause between two tries and the three seconds of the job itself.
    assert!(crashed.elapsed() < Duration::from_secs(20), "{:?}", crashed.elapsed());
    worker.signal(Signal::SIGTERM);
    let ended = worker.ended().await;
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.contains("the database answers again"), "{ended:?}");
    let lines = ended.stderr.lines().count();
    assert!(lines < 100, "no busy loop: {lines} lines\n{}", ended.stderr);
}

#[tokio::test]
async fn jobs_are_managed_and_their_plans_shown() {
    let db = bare().await;
    highwater(&db, &["job", "add", "work", "--every", "1d", "--function", "work"]).await.success();
    highwater(&db, &["job", "add", "bad", "--every", "1d", "--function", "fails", "--max-attempts", "1"])
        .await
        .success();
    highwater(&db, &["job", "add", "echo", "--every", "1d", "--", "/bin/sh", "-c", "echo $HIGHWATER_JOB"])
        .await
        .success();
    for name in ["work", "bad", "echo"] {
        highwater(&db, &["job", "run-now", name]).await.success();
    }
    let worker =
        spawn(&db, &["worker", "--listen", "127.0.0.1:0", "--allow-commands", "--log-format", "json"]);
    until(&db, "SELECT (count(*) = 3)::int::bigint FROM highwater.plan WHERE state IN ('done', 'failed')")
        .await;
    worker.signal(Signal::SIGTERM);
    let ended = worker.ended().await.success();
    for line in ended.stderr.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let listed = highwater(&db, &["plans", "list", "--format", "json"]).await.success();
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let of = |name: &str| {
        listed["plans"].as_array().unwrap().iter().find(|plan| plan["job"] == name).unwrap().clone()
    };
    assert_eq!(of("work")["result"]["returned"], "worked");
    assert_eq!(of("echo")["result"]["output"], "echo\n");
    assert!(of("bad")["error"].as_str().unwrap().contains("no luck"), "{listed}");
    let run = of("bad")["run_id"].to_string();
    let shown = highwater(&db, &["plans", "show", &run]).await.success();
    assert!(shown.stdout.contains("state        failed") && shown.stdout.contains("no luck"), "{shown:?}");
    highwater(&db, &["job", "pause", "work"]).await.success();
    let jobs = highwater(&db, &["job", "list"]).await.success();
    assert!(jobs.stdout.lines().any(|line| line.starts_with("work") && line.ends_with("paused")), "{jobs:?}");
    highwater(&db, &["job", "resume", "work"]).await.success();
    highwater(&db, &["job", "drop", "work"]).await.success();
    assert_eq!(highwater(&db, &["job", "show", "work"]).await.code(), 2);
    let built_in = migrated().await;
    let refused = highwater(&built_in, &["job", "drop", "drain"]).await;
    assert!(refused.code() == 2 && refused.stderr.contains("job pause drain"), "{refused:?}");
}

#[tokio::test]
async fn a_worker_without_our_schema_says_what_to_do() {
    let db = TestDb::empty().await;
    let ended = worker(&db).ended().await;
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert!(ended.stderr.contains("highwater migrate up"), "{ended:?}");
}

#[tokio::test]
async fn drift_is_an_alarm_that_drains_do_not_clear() {
    let db = migrated().await;
    let session = db.session().await;
    session.batch(INSERT).await.unwrap();
    highwater(&db, &["rollup", "drain", "usage_hourly"]).await.success();
    session.batch("UPDATE highwater.usage_hourly SET event_count = event_count + 1").await.unwrap();
    let address = address();
    let worker = spawn(&db, &["worker", "--listen", &address]);
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'verify' AND state = 'retrying' AND error LIKE 'drift: 1 of 1 rows%'").await;
    let drift = async |address: &str| {
        let url = format!("http://{address}/metrics");
        let page = highwater(&db, &["health", "--url", &url]).await.success().stdout;
        let name = "highwater_rollup_drift_rows{rollup=\"usage_hourly\"} ";
        page.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
    };
    assert_eq!(drift(&address).await, "1");
    // A drain that begins afterwards works, and changes nothing about it.
    highwater(&db, &["job", "pause", "verify"]).await.success();
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
    let again = spawn(&db, &["worker", "--listen", &address]);
    session.batch(INSERT).await.unwrap();
    until(&db, "SELECT count(*) FROM highwater.rollup WHERE watermark_at > (SELECT max(recorded_at) FROM highwater.usage_event)").await;
    highwater(&db, &["rollup", "drain", "usage_hourly"]).await.success();
    let status = highwater(&db, &["status"]).await;
    assert!(status.code() == 2 && status.stdout.contains("drift: 1 row of 20"), "{status:?}");
    let json = highwater(&db, &["status", "--format", "json"]).await.stdout;
    assert!(json.contains("\"drifted_rows\":1"), "{json}");
    // The drain has made the row right, and nobody knows until it is compared again; a repair is such a comparison.
    session.batch("UPDATE highwater.usage_hourly SET event_count = event_count + 1").await.unwrap();
    assert_eq!(highwater(&db, &["rollup", "verify", "usage_hourly"]).await.code(), 4);
    assert_eq!(highwater(&db, &["status"]).await.code(), 2);
    assert_eq!(highwater(&db, &["rollup", "verify", "usage_hourly", "--repair"]).await.code(), 4);
    highwater(&db, &["status"]).await.success();
    // An answer about the database is good for two seconds.
    let begun = Instant::now();
    while drift(&address).await != "0" {
        assert!(begun.elapsed() < Duration::from_secs(60), "the metric is not cleared");
    }
    highwater(&db, &["rollup", "verify", "usage_hourly"]).await.success();
    again.signal(Signal::SIGTERM);
    again.ended().await.success();
}
