//! `migrate up` with `require-rollup`: the backfill is part of the upgrade, and of its failure.

use highwater::db::Executor;

use super::field::{self, ROWS, TRUTH};
use crate::support::TestDb;
use crate::support::program::{Output, highwater};

/// An application's folder: the events and the old daily table are there, then the rollup, then the old table goes.
fn folder(definition: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("V1__events.sql", &format!("{}\nCREATE TABLE app.daily (day date);", field::SOURCE));
    write("V2__hourly.sql", "-- highwater: add-rollup event_hourly.toml\nSELECT 1;");
    write("V3__drop_daily.sql", "-- highwater: require-rollup event_hourly\nDROP TABLE app.daily;");
    write("event_hourly.toml", definition);
    folder
}

async fn up(db: &TestDb, folder: &tempfile::TempDir, more: &[&str]) -> Output {
    let arguments: Vec<&str> =
        ["migrate", "up", "--dir", folder.path().to_str().unwrap()].iter().chain(more).copied().collect();
    highwater(db, &arguments).await
}

#[tokio::test]
async fn an_upgrade_backfills_proves_and_only_then_drops() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let folder = folder(field::DEFINITION);
    up(&db, &folder, &["--to", "1"]).await.success();
    session.batch(field::SEED).await.unwrap();
    up(&db, &folder, &["--to", "2"]).await.success();
    // By hand the guard refuses, in its own words and code.
    let refused = session.batch("SELECT highwater.assert_rollup_current('event_hourly')").await.unwrap_err();
    assert_eq!(refused.exit().code(), 10, "{refused}");
    up(&db, &folder, &[]).await.success();
    assert!(field::is_true(&session, "SELECT to_regclass('app.daily') IS NULL").await);
    field::assert_same(&session, ROWS, TRUTH).await;
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn an_upgrade_of_an_empty_application_needs_no_step() {
    let db = field::migrated().await;
    up(&db, &folder(field::DEFINITION), &[]).await.success();
    let session = db.session().await;
    assert!(field::is_true(&session, "SELECT to_regclass('app.daily') IS NULL").await);
}

#[tokio::test]
async fn a_hook_that_fails_at_slice_seven_keeps_six_and_goes_on_there() {
    let db = field::migrated().await;
    let session = db.session().await;
    let fragile =
        field::DEFINITION.replace("count(*) AS events", "sum(100 / source.amount)::bigint AS events");
    let folder = folder(&fragile);
    up(&db, &folder, &["--to", "1"]).await.success();
    session.batch(field::SEED).await.unwrap();
    // Newest first: of eight months the seventh is February.
    let february =
        "WHERE at >= '2024-02-01 00:00+00' AND at < '2024-02-01 01:00+00'::timestamptz + interval '1 day'";
    session.batch(&format!("CREATE TABLE app.amount AS SELECT id, amount FROM app.event; UPDATE app.event SET amount = 0 {february}; ANALYZE app.event")).await.unwrap();
    let failed = up(&db, &folder, &[]).await;
    assert_eq!(failed.code(), 6, "{failed:?}");
    assert!(failed.stderr.contains("2024-02") && failed.stderr.contains("division by zero"), "{failed:?}");
    let complete = "SELECT to_char(slice_start, 'MM'), attempts FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete'";
    field::assert_same(&session, complete, "SELECT '0' || n, 1 FROM generate_series(3, 8) AS n").await;
    assert!(field::is_true(&session, "SELECT to_regclass('app.daily') IS NOT NULL").await);
    session.batch("UPDATE app.event AS e SET amount = a.amount FROM app.amount AS a WHERE a.id = e.id AND e.amount = 0").await.unwrap();
    up(&db, &folder, &[]).await.success();
    let attempts = "SELECT to_char(slice_start, 'MM'), attempts FROM highwater.rollup_slice WHERE rollup = 'event_hourly'";
    field::assert_same(
        &session,
        attempts,
        "SELECT '0' || n, CASE WHEN n = 2 THEN 2 ELSE 1 END FROM generate_series(1, 8) AS n",
    )
    .await;
    assert!(field::is_true(&session, "SELECT to_regclass('app.daily') IS NULL").await);
    let truth = TRUTH.replace("count(*)", "sum(100 / amount)::bigint");
    field::assert_same(&session, ROWS, &truth).await;
}
