//! Rollups without the program: installed by psql, drained by a statement.

use std::sync::atomic::{AtomicBool, Ordering};

use highwater::db::{DbError, Executor};
use highwater::ground::config;

use super::field::{self, DEFINITION, ROWS, SOURCE, TRUTH};
use crate::support::TestDb;
use crate::support::program::{Output, highwater, run};

/// Functions, views, triggers, columns and indexes, as the catalog prints them.
const CATALOG: &str = "
SELECT pg_get_functiondef(p.oid) AS text FROM pg_proc AS p WHERE p.pronamespace = 'highwater'::regnamespace AND p.prokind = 'f'
UNION ALL SELECT c.relname || ': ' || pg_get_viewdef(c.oid) FROM pg_class AS c WHERE c.relkind = 'v' AND c.relnamespace = 'highwater'::regnamespace
UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t WHERE NOT t.tgisinternal
UNION ALL SELECT pg_get_indexdef(i.indexrelid) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE c.relnamespace = 'highwater'::regnamespace
UNION ALL SELECT a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attnotnull || coalesce(col_description(a.attrelid, a.attnum), '')
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = 'highwater'::regnamespace AND a.attnum > 0
UNION ALL SELECT (to_jsonb(r) - 'installed_at' - 'rendered_at' - 'census_at' - 'watermark_at' - 'drained_at')::text FROM highwater.rollup AS r";

/// Whether there is a psql, which CI must have.
async fn has_psql() -> bool {
    let found = tokio::process::Command::new("psql").arg("--version").output().await.is_ok();
    assert!(found || config::env("CI").is_none(), "CI must have psql");
    if !found {
        eprintln!("psql is missing: nothing is installed by hand");
    }
    found
}

/// Runs a script with psql.
async fn by_hand(db: &TestDb, script: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let mut psql = tokio::process::Command::new("psql");
    run(psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file.path()).arg(db.url())).await
}

async fn printed(db: &TestDb, of: &str) -> Output {
    highwater(db, &["rollup", "sql", of]).await.success()
}

/// Object ids, which two databases do not share, are left out.
async fn catalog(db: &TestDb) -> Vec<String> {
    let rows = db
        .session()
        .await
        .query(
            &format!("SELECT regexp_replace(text, '[0-9]{{5,}}', 'N', 'g') FROM ({CATALOG}) AS c ORDER BY 1"),
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_rollup_installed_by_hand_is_the_one_that_the_program_installs() {
    if !has_psql().await {
        return;
    }
    let (db, twin) = (field::migrated().await, field::migrated().await);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event_hourly.toml");
    std::fs::write(&file, DEFINITION).unwrap();
    let file = file.to_str().unwrap();
    for db in [&db, &twin] {
        db.session().await.batch(&format!("{SOURCE}{}ANALYZE app.event", field::SEED)).await.unwrap();
    }
    let script = printed(&db, file).await.stdout;
    by_hand(&db, &script).await.success();
    highwater(&twin, &["rollup", "add", file]).await.success();
    assert_eq!(catalog(&db).await, catalog(&twin).await);
    // From here on it is a rollup like any other.
    let list = highwater(&db, &["rollup", "list"]).await.success();
    assert!(list.stdout.contains("event_hourly"), "{list:?}");
    let show = highwater(&db, &["rollup", "show", "event_hourly"]).await.success();
    assert!(
        show.stdout.contains("source app.event") && show.stdout.contains("count(DISTINCT source.note)"),
        "{show:?}"
    );
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id % 7 = 0").await.unwrap();
    let drained = highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    assert!(!drained.stdout.contains(" 0 marks"), "{drained:?}");
    field::assert_exact(&mut session).await;
    highwater(&db, &["rollup", "verify", "event_hourly"]).await.success();
    assert_eq!(highwater(&db, &["status"]).await.code(), 0);
    // What is installed prints as what installed it, and installs again once it is dropped.
    assert_eq!(printed(&db, "event_hourly").await.stdout, script);
    let twice = by_hand(&db, &script).await;
    assert!(!twice.status.success() && twice.stderr.contains("already exists"), "{twice:?}");
    highwater(&db, &["rollup", "drop", "event_hourly", "--yes"]).await.success();
    by_hand(&db, &script).await.success();
}

/// Its capture functions stand for all rollups over their tables: one that came later would be left out.
#[tokio::test]
async fn a_script_is_refused_when_the_installed_rollups_are_others() {
    if !has_psql().await {
        return;
    }
    let db = field::complete().await;
    let mut session = db.session().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event_daily.toml");
    std::fs::write(&file, field::define("event_daily", "app.event", "at", Some("tenant"), "1d")).unwrap();
    let script = printed(&db, file.to_str().unwrap()).await.stdout;
    field::add(&mut session, &field::define("event_fine", "app.event", "at", Some("tenant"), "15m"))
        .await
        .unwrap();
    let refused = by_hand(&db, &script).await;
    assert!(!refused.status.success() && refused.stderr.contains("rollup sql"), "{refused:?}");
    let script = printed(&db, file.to_str().unwrap()).await.stdout;
    by_hand(&db, &script).await.success();
    session.batch("DELETE FROM app.event WHERE id % 7 = 0").await.unwrap();
    field::assert_exact(&mut session).await;
    for name in ["event_daily", "event_fine"] {
        field::backfill_of(&db, name, &Default::default()).await.unwrap();
        highwater(&db, &["rollup", "verify", name]).await.success();
    }
}

#[tokio::test]
async fn a_statement_drains_what_is_marked_when_it_begins() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id IN (1, 2, 900); INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '1999-01-01', 1)").await.unwrap();
    let row = session.query_one("SELECT * FROM highwater.drain('event_hourly')", &[]).await.unwrap();
    let count = |column: &str| row.get::<_, i64>(column);
    assert_eq!(
        (count("marks"), count("buckets"), count("rows_written"), count("slices_pending")),
        (4, 4, 4, 0)
    );
    let now = field::number(&session, "SELECT extract(epoch FROM clock_timestamp())::bigint").await;
    let watermark: chrono::DateTime<chrono::Utc> = row.get("watermark_at");
    assert!((now - watermark.timestamp()).abs() < 60);
    field::assert_same(&session, ROWS, TRUTH).await;
    session.batch("TRUNCATE app.event").await.unwrap();
    session.query_one("SELECT highwater.drain('event_hourly')::text", &[]).await.unwrap();
    field::assert_same(&session, ROWS, TRUTH).await;
    let refused = session
        .batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT highwater.drain('event_hourly')")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("READ COMMITTED"), "{refused}");
    session.batch("ROLLBACK").await.unwrap();
    let unknown = session.batch("SELECT highwater.drain('nothing')").await.unwrap_err();
    assert!(
        unknown.to_string().contains("installed are ") && unknown.to_string().contains("event_hourly, "),
        "{unknown}"
    );
}

/// A rollup that was never counted is counted first, and its small months are filled.
#[tokio::test]
async fn a_statement_begins_a_rollup_too() {
    let db = field::seeded().await;
    let session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id = 1").await.unwrap();
    let row = session.query_one("SELECT * FROM highwater.drain('event_hourly')", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>("slices_pending"), 7);
}

/// Several callers, drains of the program and windows at once, under writers: none fails, and nothing is lost.
#[tokio::test]
async fn statements_drains_and_windows_at_once_do_not_deadlock() {
    let db = field::complete().await;
    let stop = AtomicBool::new(false);
    let calling = async |statement: &str| -> Result<u32, DbError> {
        let session = db.session().await;
        let mut calls = 0;
        while !stop.load(Ordering::Relaxed) {
            session.batch(statement).await?;
            calls += 1;
        }
        Ok(calls)
    };
    let writing = async {
        let session = db.session().await;
        // In an order that has nothing to do with that of the months.
        for round in 0..60i32 {
            let id = (round * 577) % 1600;
            session
                .batch(&format!(
                    "UPDATE app.event SET amount = amount + 1 WHERE id IN ({id}, {}, {})",
                    1600 - id,
                    (id + 800) % 1600
                ))
                .await?;
        }
        stop.store(true, Ordering::Relaxed);
        Ok::<(), DbError>(())
    };
    let drain = "SELECT highwater.drain('event_hourly')";
    let (written, one, other, pass, window) = tokio::join!(
        writing,
        calling(drain),
        calling(drain),
        calling("SELECT highwater.event_hourly_expand(); SELECT highwater.event_hourly_drain(2, true)"),
        calling("SELECT highwater.event_hourly_window('2024-02-01 00:00+00', '2024-07-01 00:00+00')"),
    );
    written.unwrap();
    for calls in [one, other, pass, window] {
        assert!(calls.unwrap() > 0);
    }
    field::assert_exact(&mut db.session().await).await;
}
