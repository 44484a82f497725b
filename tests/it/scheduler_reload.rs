//! A worker's configuration file, read at its start and again at SIGHUP.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::scheduler_site::{bare, count, until};
use crate::support::TestDb;
use crate::support::program::{Running, highwater, spawn};

fn worker(db: &TestDb, file: &Path) -> Running {
    spawn(db, &["worker", "--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()])
}

async fn run_now(db: &TestDb, name: &str) {
    highwater(db, &["job", "run-now", name]).await.success();
}

async fn done(db: &TestDb, name: &str, times: i64) {
    let query = format!(
        "SELECT (count(*) >= {times})::int::bigint FROM highwater.plan WHERE job = '{name}' AND state = 'done'"
    );
    until(db, &query).await;
}

#[tokio::test]
async fn a_hangup_reads_the_file_again_and_a_bad_one_changes_nothing() {
    let db = bare().await;
    highwater(&db, &["job", "add", "echo", "--every", "1d", "--", "/bin/echo", "hello"]).await.success();
    highwater(&db, &["job", "add", "work", "--every", "1d", "--function", "work"]).await.success();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    std::fs::write(&file, "concurrency = 2\nlog = \"warn\"\n").unwrap();
    let worker = worker(&db, &file);
    run_now(&db, "echo").await;
    run_now(&db, "work").await;
    done(&db, "work", 1).await;
    let untouched =
        "SELECT count(*) FROM highwater.plan WHERE job = 'echo' AND state = 'due' AND token IS NULL";
    assert_eq!(count(&db, untouched).await, 1, "programs are not allowed yet");

    std::fs::write(&file, "allow_commands = true\nlog = \"info\"\ndrain_timeout = \"5s\"\n").unwrap();
    worker.signal(Signal::SIGHUP);
    worker.tells("read the configuration again").await;
    done(&db, "echo", 1).await;

    for (bad, words) in [
        ("concurrency = 0", "concurrency must be between 1 and 1000"),
        ("colour = \"blue\"", "unknown field `colour`"),
        ("log = \"highwater=loud\"", "\"highwater=loud\" is no filter"),
    ] {
        std::fs::write(&file, format!("allow_commands = false\n{bad}\n")).unwrap();
        worker.signal(Signal::SIGHUP);
        worker.tells("the configuration stays as it is, the new one is bad: ").await;
        worker.tells(words).await;
    }
    std::fs::remove_file(&file).unwrap();
    worker.signal(Signal::SIGHUP);
    worker.tells("cannot read").await;
    run_now(&db, "echo").await;
    done(&db, "echo", 2).await;

    std::fs::write(&file, "allow_commands = false\nlog = \"info\"\n").unwrap();
    worker.signal(Signal::SIGHUP);
    worker.tells("allow_commands=false").await;
    run_now(&db, "echo").await;
    run_now(&db, "work").await;
    done(&db, "work", 2).await;
    assert_eq!(count(&db, untouched).await, 1, "programs are not allowed any more");
    worker.signal(Signal::SIGTERM);
    let ended = worker.ended().await.success();
    assert!(!ended.stderr.contains("is at work on"), "the first file asked for less: {ended:?}");
}

#[tokio::test]
async fn a_hangup_without_a_file_ends_nothing_and_each_start_is_somebody_new() {
    let db = bare().await;
    highwater(&db, &["job", "add", "work", "--every", "1d", "--function", "work"]).await.success();
    for start in 1..=2 {
        let worker = spawn(&db, &["worker", "--listen", "127.0.0.1:0"]);
        run_now(&db, "work").await;
        done(&db, "work", 2 * start - 1).await;
        worker.signal(Signal::SIGHUP);
        worker.tells("began without --config").await;
        run_now(&db, "work").await;
        done(&db, "work", 2 * start).await;
        worker.signal(Signal::SIGTERM);
        worker.ended().await.success();
    }
    assert_eq!(count(&db, "SELECT count(DISTINCT worker) FROM highwater.plan").await, 2);
}

#[tokio::test]
async fn a_bad_file_at_the_start_is_refused() {
    let db = bare().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    for (text, words) in [
        (Some("drain_timeout = \"soon\""), "worker.toml"),
        (Some("colour = \"blue\""), "unknown field `colour`"),
        (None, "cannot read"),
    ] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let ended = worker(&db, &file).ended().await;
        assert!(ended.code() == 2 && ended.stderr.contains(words), "{ended:?}");
    }
}
