//! Workers that die, and runs whose end takes long.

use highwater::db::Executor;
use highwater::scheduler::job::Kind;
use nix::sys::signal::Signal;

use crate::scheduler_site::{bare, count, due, job, row, until};
use crate::support::TestDb;
use crate::support::program::{Running, spawn};

fn worker(db: &TestDb) -> Running {
    spawn(db, &["worker", "--listen", "127.0.0.1:0"])
}

#[tokio::test]
async fn a_killed_worker_is_replaced_when_its_lease_ends_and_not_before() {
    let db = bare().await;
    let function = "CREATE FUNCTION long() RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(120) $$";
    db.session().await.batch(function).await.unwrap();
    job(&db, "long", |draft| draft.kind = Kind::Sql { function: "long".into() }).await;
    due(&db, "long", 1).await;
    let _workers = [worker(&db), worker(&db)];
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'long' AND state = 'running'").await;
    // Whoever has it is killed; the other one is left.
    let holder: String =
        row(&db, "SELECT worker FROM highwater.plan WHERE job = 'long' AND state = 'running'").await.get(0);
    let pid: i32 = holder.split('/').nth(1).unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    // The server notices within a second that its client is gone; only then can the lease be taken.
    until(&db, "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%long()%' AND pid <> pg_backend_pid()").await;
    assert_eq!(
        count(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'long' AND crash_attempts > 0").await,
        0
    );
    // As if the rest of the fifteen seconds had passed.
    let ends = row(&db, "UPDATE highwater.lease SET lease_until = clock_timestamp() WHERE run_id = (SELECT run_id FROM highwater.plan WHERE job = 'long' AND state = 'running') RETURNING lease_until").await;
    let ends: chrono::DateTime<chrono::Utc> = ends.get(0);
    until(
        &db,
        "SELECT count(*) FROM highwater.plan WHERE job = 'long' AND state = 'running' AND crash_attempts = 1",
    )
    .await;
    let taken =
        row(&db, "SELECT started_at, worker FROM highwater.plan WHERE job = 'long' AND state = 'running'")
            .await;
    let late = taken.get::<_, chrono::DateTime<chrono::Utc>>(0) - ends;
    assert!(late >= chrono::TimeDelta::zero(), "not before: {late}");
    // A poll of one second and a round; the bound of the contract, two seconds, is for a machine with nothing else to do.
    assert!(late < chrono::TimeDelta::seconds(10), "{late}");
    assert_ne!(taken.get::<_, &str>(1), holder);
}

#[tokio::test]
async fn a_commit_that_takes_long_delays_no_other_lease_of_its_process() {
    let db = bare().await;
    // Longer than the distance of heartbeats, within COMMIT itself: the lease's deletion is not visible all the while.
    let setting = "CREATE TABLE late (id int);
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(8); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle();
        CREATE FUNCTION end_late() RETURNS void LANGUAGE sql AS $$ INSERT INTO late VALUES (1) $$;
        CREATE FUNCTION beside() RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(120) $$;";
    db.session().await.batch(setting).await.unwrap();
    for name in ["end_late", "beside"] {
        job(&db, name, |draft| draft.kind = Kind::Sql { function: name.into() }).await;
        due(&db, name, 1).await;
    }
    let _worker = worker(&db);
    let committing = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
    until(&db, committing).await;
    let left = "SELECT extract(epoch FROM lease_until) * 1000 FROM highwater.lease AS l JOIN highwater.plan AS p USING (run_id) WHERE p.job = 'beside'";
    let left = format!("SELECT ms::bigint FROM ({left}) AS l(ms)");
    let before = count(&db, &left).await;
    until(&db, &format!("SELECT count(*) FROM ({left}) AS l(ms) WHERE ms > {before}")).await;
    assert_eq!(count(&db, committing).await, 1, "renewed meanwhile");
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'end_late' AND state = 'done'").await;
    assert_eq!(
        count(&db, "SELECT sum(attempts)::bigint FROM highwater.plan WHERE job = 'end_late'").await,
        1
    );
}
