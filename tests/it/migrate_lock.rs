//! Runs take turns, name each other, and a run that lost its lock writes nothing more.

use std::time::{Duration, Instant};

use highwater::db::Executor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::migrate_database::{Folder, TestDb, ended, migrate, signal, start};

/// The lock's key, as an operator may take it by hand.
const KEY: &str = "7523658350876259429";

const TABLE_AND_INDEX: &[(&str, &str)] = &[
    ("V1__event.sql", "CREATE TABLE event (id int PRIMARY KEY, at timestamptz);"),
    ("V2__event_at.sql", "-- highwater: no-transaction\nCREATE INDEX CONCURRENTLY event_at ON event (at);"),
    ("V3__fill.sql", "INSERT INTO event SELECT 1, now();"),
];

/// Sleeps while the table `slow` is there.
const SLOW: &str = "CREATE TABLE done ();\nSELECT pg_sleep(30) FROM pg_tables WHERE tablename = 'slow';";

const SLEEPING: &str = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep(30)%'";

#[test]
fn the_key_is_the_one_that_the_program_takes() {
    assert_eq!(KEY, i64::from_be_bytes(*b"highwate").to_string());
}

#[tokio::test]
async fn two_runs_take_turns_and_the_waiter_names_the_holder() {
    let db = TestDb::empty().await;
    let folder = Folder::with(TABLE_AND_INDEX);
    let holder = db.session().await;
    holder.batch(&format!("SELECT pg_advisory_lock({KEY})")).await.unwrap();
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let named = format!("process {pid} (highwater/test, user ");

    let busy = migrate(&db, &["up", "--no-wait"], &folder).await;
    assert_eq!(busy.code, 5, "{busy:?}");
    assert!(busy.err.contains(&named), "{busy:?}");

    let started = Instant::now();
    let late = migrate(&db, &["up", "--wait", "1s"], &folder).await;
    assert_eq!(late.code, 5, "{late:?}");
    assert!(late.err.contains("waiting for another run: ") && late.err.contains(&named), "{late:?}");
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(db.texts("SELECT nspname FROM pg_namespace WHERE nspname = 'highwater'").await, [""; 0]);

    let patient = start(&db, &["up"], &folder);
    db.wait_for("SELECT FROM pg_stat_activity WHERE application_name = 'highwater/migrate lock'").await;
    drop(holder);
    let patient = ended(patient).await;
    assert_eq!(patient.code, 0, "{patient:?}");
    assert_eq!(db.versions().await, ["1", "2", "3"]);
}

#[tokio::test]
async fn six_runs_at_once_on_an_empty_database_all_succeed() {
    let db = TestDb::empty().await;
    let folder = Folder::with(TABLE_AND_INDEX);
    let runs: Vec<_> = (0..6).map(|_| start(&db, &["up"], &folder)).collect();
    let mut applied = 0;
    for run in runs {
        let run = ended(run).await;
        assert_eq!(run.code, 0, "{run:?}");
        applied +=
            run.out.lines().filter(|line| line.contains("__") && line.contains(" applied in ")).count();
    }
    let own = db.texts("SELECT count(*) FROM highwater.refinery_schema_history").await;
    assert_eq!(applied, 3 + own[0].parse::<usize>().unwrap(), "each version by one run only");
    assert_eq!(db.versions().await, ["1", "2", "3"]);
    assert_eq!(db.texts("SELECT count(*) FROM event").await, ["1"]);
    let again: Vec<_> = (0..3).map(|_| start(&db, &["up"], &folder)).collect();
    for run in again {
        assert_eq!(ended(run).await.code, 0);
    }
    assert_eq!(db.texts("SELECT count(*) FROM event").await, ["1"]);
}

#[tokio::test]
async fn a_waiter_is_no_party_to_a_concurrent_build() {
    let db = TestDb::empty().await;
    let folder = Folder::with(TABLE_AND_INDEX);
    assert_eq!(migrate(&db, &["up", "--to", "1"], &folder).await.code, 0);
    // The build waits for this transaction; the second run waits for the first.
    let mut writer = db.session().await;
    let open = writer.begin().await.unwrap();
    open.batch("INSERT INTO event VALUES (7)").await.unwrap();
    let builder = start(&db, &["up"], &folder);
    db.wait_for("SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'")
        .await;
    let waiter = start(&db, &["up"], &folder);
    db.wait_for(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%migrate/try_lock%'",
    )
    .await;
    // deadlock_timeout is a second: a waiter that held a snapshot would be found in the cycle by now.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    open.commit().await.unwrap();
    for run in [builder, waiter] {
        let run = ended(run).await;
        assert_eq!(run.code, 0, "{run:?}");
    }
    assert_eq!(
        db.texts("SELECT indisvalid FROM pg_index WHERE indexrelid = 'event_at'::regclass").await,
        ["true"]
    );
}

#[tokio::test]
async fn a_run_whose_lock_is_lost_commits_nothing_more() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[("V1__slow.sql", SLOW)]);
    db.run("CREATE TABLE slow ()").await;
    let run = start(&db, &["up"], &folder);
    db.wait_for(SLEEPING).await;
    db.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'highwater/migrate lock'",
    )
    .await;
    let started = Instant::now();
    let run = ended(run).await;
    assert_eq!(run.code, 9, "{run:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "the statement in hand is cancelled");
    assert_eq!(db.versions().await, [""; 0]);
    db.run("DROP TABLE slow").await;
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    assert_eq!(db.versions().await, ["1"]);
}

#[tokio::test]
async fn what_a_killed_run_left_running_is_waited_for() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[("V1__slow.sql", SLOW)]);
    db.run("CREATE TABLE slow ()").await;
    let mut run = start(&db, &["up"], &folder);
    db.wait_for(SLEEPING).await;
    // Held still, or it would notice within a second that its client is gone, which may be before anyone looks.
    let orphan = &db.texts(&SLEEPING.replacen("SELECT", "SELECT pid", 1)).await[0];
    let orphan = Pid::from_raw(orphan.parse().unwrap());
    kill(orphan, Signal::SIGSTOP).unwrap();
    signal(&run, Signal::SIGKILL);
    run.wait().unwrap();
    let next = migrate(&db, &["up", "--no-wait"], &folder).await;
    kill(orphan, Signal::SIGCONT).unwrap();
    assert_eq!(next.code, 5, "the orphan still works: {next:?}");
    db.run("DROP TABLE slow").await;
    let next = migrate(&db, &["up"], &folder).await;
    assert_eq!(next.code, 0, "{next:?}");
    assert_eq!(db.versions().await, ["1"]);
}

#[tokio::test]
async fn an_interrupted_run_ends_after_the_step_in_hand() {
    let db = TestDb::empty().await;
    let step = "SELECT pg_sleep(1.5)";
    let folder = Folder::with(&[("V1__slow.sql", step), ("V2__next.sql", "CREATE TABLE next ();")]);
    let run = start(&db, &["up"], &folder);
    db.wait_for("SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(1.5)%'")
        .await;
    signal(&run, Signal::SIGINT);
    let run = ended(run).await;
    assert_eq!(run.code, 130, "{run:?}");
    assert_eq!(db.versions().await, ["1"]);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    assert_eq!(db.versions().await, ["1", "2"]);
}

#[tokio::test]
async fn a_second_signal_cancels_the_step_in_hand() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[("V1__slow.sql", SLOW)]);
    db.run("CREATE TABLE slow ()").await;
    let run = start(&db, &["up"], &folder);
    db.wait_for(SLEEPING).await;
    signal(&run, Signal::SIGINT);
    // Two signals of one kind that are sent at once are one.
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(&run, Signal::SIGTERM);
    let run = ended(run).await;
    assert_eq!(run.code, 130, "{run:?}");
    assert_eq!(db.texts("SELECT to_regclass('done')").await, [""]);
}
