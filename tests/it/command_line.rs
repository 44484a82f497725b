//! The program as people mistype it: each message says what happened, on what, and what to do; no secret is shown.

use std::process::Stdio;
use std::time::Duration;

use crate::support::TestDb;
use crate::support::program::{command, highwater, run};

/// The exit code and everything printed.
async fn typed(arguments: &[&str]) -> (i32, String) {
    let ended = run(&mut command(arguments)).await;
    (ended.code(), format!("{}{}", ended.stdout, ended.stderr))
}

#[tokio::test]
async fn a_bad_url_is_a_usage_error_that_does_not_repeat_it() {
    let (code, said) = typed(&["--database-url", "postgresql://ann:s3cret@db:port/app", "status"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("bad database URL from --database-url")
            && said.contains("port: expected a number between 1 and 65535"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_down_is_named_without_its_password() {
    let (code, said) = typed(&["--database-url", "postgresql://ann:s3cret@127.0.0.1:1/app", "status"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("database \"app\" at 127.0.0.1:1 as \"ann\"") && said.contains("refused"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test]
async fn a_password_on_the_command_line_leaves_the_process_list() {
    // A listener that accepts and never answers holds the program where it can be looked at.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://ann:s3cret@{}/app", listener.local_addr().unwrap());
    let mut program = command(&["status", "--database-url", &url]);
    let mut child = program.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let (connection, _) = tokio::task::spawn_blocking(move || listener.accept().unwrap()).await.unwrap();
    let line = std::fs::read(format!("/proc/{}/cmdline", child.id().unwrap())).unwrap();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    assert!(line.contains("status") && !line.contains("s3cret"), "{line}");
    drop(connection);
    child.kill().await.unwrap();
}

#[tokio::test]
async fn an_unknown_command_is_answered_with_the_nearest_one() {
    let (code, said) = typed(&["backfil"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("backfill"), "{said}");
}

#[tokio::test]
async fn without_our_schema_the_remedy_is_named() {
    let db = TestDb::empty().await;
    for arguments in [&["status"][..], &["backfill", "usage_hourly"], &["rollup", "drain", "usage_hourly"]] {
        let ended = highwater(&db, arguments).await;
        assert_eq!(ended.code(), 3, "{ended:?}");
        assert!(ended.stderr.contains("run \"highwater migrate up\""), "{ended:?}");
    }
}

#[tokio::test]
async fn a_schema_that_this_build_does_not_know_is_refused_with_the_remedy() {
    let db = TestDb::empty().await;
    highwater(&db, &["migrate", "up"]).await.success();
    let session = db.session().await;
    let to = async |version: i64| {
        use highwater::db::Executor;
        let statement = format!(
            "INSERT INTO highwater.refinery_schema_history (version, name, applied_on, checksum)
             SELECT {version}, 'later', applied_on, checksum FROM highwater.refinery_schema_history WHERE version = 1"
        );
        session.batch(&statement).await.unwrap();
        highwater(&db, &["rollup", "list"]).await
    };
    let newest = highwater::db::schema::VERSION;
    assert_eq!(to(newest + 1).await.code(), 0, "one version ahead is fine");
    let refused = to(newest + 2).await;
    assert_eq!(refused.code(), 3, "{refused:?}");
    assert!(refused.stderr.contains("use a newer highwater"), "{refused:?}");
}

#[tokio::test]
async fn an_unknown_rollup_is_answered_with_the_known_ones() {
    let db = TestDb::empty().await;
    highwater(&db, &["migrate", "up"]).await.success();
    let ended = highwater(&db, &["backfill", "usage_daily"]).await;
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(
        ended.stderr.contains(
            "there is no rollup \"usage_daily\"; installed are backup_job_hourly, slot_hourly, usage_hourly"
        ),
        "{ended:?}"
    );
}

#[tokio::test]
async fn flags_that_make_no_sense_together_are_refused() {
    let db = TestDb::empty().await;
    for arguments in [
        &["backfill", "usage_hourly", "--from", "2025-02", "--to", "2025-01"][..],
        &["backfill", "usage_hourly", "--from", "yesterday"],
        &["backfill", "usage_hourly", "--parallel", "0"],
        &["backfill", "Usage-Hourly"],
        &["rollup", "add", "/nowhere/at/all.toml"],
        &["rollup", "add"],
    ] {
        let ended = highwater(&db, arguments).await;
        assert_eq!(ended.code(), 2, "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty() && !ended.stderr.contains("panicked"), "{ended:?}");
    }
}

#[tokio::test]
async fn dropping_a_rollup_asks_first_where_nobody_can_answer() {
    let db = TestDb::empty().await;
    highwater(&db, &["migrate", "up"]).await.success();
    let ended = highwater(&db, &["rollup", "drop", "usage_hourly"]).await;
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.stderr.contains("add --yes"), "{ended:?}");
    highwater(&db, &["rollup", "drop", "usage_hourly", "--yes"]).await.success();
}

#[tokio::test]
async fn a_reader_that_goes_away_does_not_make_a_panic() {
    let db = TestDb::empty().await;
    highwater(&db, &["migrate", "up"]).await.success();
    let script =
        format!("{} status --format json | true; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_highwater"));
    let mut shell = tokio::process::Command::new("bash");
    shell.args(["-c", &script]).env("DATABASE_URL", db.url());
    let ended = tokio::time::timeout(Duration::from_secs(20), run(&mut shell)).await.unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}
