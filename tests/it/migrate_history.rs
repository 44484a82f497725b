//! The history is refinery's: made by a stock refinery it is continued, written by us it can be read by one.

use highwater::db::Executor;

use crate::migrate_database::{Folder, TestDb, migrate, migrate_at};

/// What a stock refinery with four-byte versions makes.
const STOCK: &str = "CREATE TABLE refinery_schema_history(
    version int4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))";

const FILES: &[(&str, &str)] = &[("V1__a.sql", "CREATE TABLE a ();"), ("V2__b.sql", "CREATE TABLE b ();")];

async fn stock(db: &TestDb) {
    let migration = refinery::Migration::unapplied("V1__a", FILES[0].1).unwrap();
    db.run(&format!(
        "{STOCK}; CREATE TABLE a ();
         INSERT INTO refinery_schema_history VALUES (1, 'a', '2026-01-31T12:00:00.5Z', '{}')",
        migration.checksum()
    ))
    .await;
}

#[tokio::test]
async fn a_history_of_stock_refinery_is_continued() {
    let db = TestDb::empty().await;
    stock(&db).await;
    let folder = Folder::with(FILES);
    let up = migrate(&db, &["up"], &folder).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(db.versions().await, ["1", "2"]);
    folder.write("V1__a.sql", "CREATE TABLE a (); -- edited");
    let drift = migrate(&db, &["verify"], &folder).await;
    assert_eq!(drift.code, 4);
    assert!(drift.err.contains("V1__a.sql: differs from what was applied, by another tool"), "{drift:?}");
    folder.write("V1__a.sql", FILES[0].1);
    folder.write("V20260131120000__c.sql", "CREATE TABLE c ();");
    let wide = migrate(&db, &["up"], &folder).await;
    assert_eq!(wide.code, 2, "{wide:?}");
    assert!(wide.err.contains("ALTER COLUMN version TYPE bigint"), "{wide:?}");
    assert_eq!(db.texts("SELECT to_regclass('c')").await, [""]);
    db.run("ALTER TABLE refinery_schema_history ALTER COLUMN version TYPE bigint").await;
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
}

#[tokio::test]
async fn our_rows_are_those_that_refinery_would_write() {
    let db = TestDb::empty().await;
    let folder = Folder::with(FILES);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    let rows = db
        .session()
        .await
        .query(
            "SELECT version, name, applied_on, checksum FROM refinery_schema_history ORDER BY version",
            &[],
        )
        .await
        .unwrap();
    for (row, (file, text)) in rows.iter().zip(FILES) {
        let theirs = refinery::Migration::unapplied(file.trim_end_matches(".sql"), text).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (theirs.version(), theirs.name()));
        assert_eq!(row.get::<_, &str>(3), theirs.checksum().to_string());
        let rfc3339 = time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(row.get(2), &rfc3339).unwrap();
    }
    assert_eq!(rows.len(), 2);
    let runs = "SELECT concat_ws(' ', scope, version, name, finished_at >= started_at, duration_ms >= 0, sql_user = current_user)
                  FROM highwater.migration_run WHERE scope = 'app' ORDER BY version";
    assert_eq!(db.texts(runs).await, ["app 1 a t t t", "app 2 b t t t"]);
}

#[tokio::test]
async fn a_hand_edited_row_is_an_error_and_no_panic() {
    let db = TestDb::empty().await;
    let folder = Folder::with(FILES);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    for (edit, words) in [
        ("applied_on = '2026-01-01 00:00:00'", "no RFC 3339 time"),
        ("applied_on = NULL", "applied_on is NULL"),
        ("checksum = 'abc'", "no unsigned number"),
        ("checksum = '-1'", "no unsigned number"),
        ("checksum = '7'", "checksum 7 is not that of the file that was applied"),
        ("name = NULL", "name is NULL"),
    ] {
        db.run("CREATE TABLE saved AS SELECT * FROM refinery_schema_history").await;
        db.run(&format!("UPDATE refinery_schema_history SET {edit} WHERE version = 1")).await;
        for action in ["up", "verify"] {
            let edited = migrate(&db, &[action], &folder).await;
            assert_eq!(edited.code, 4, "{edit}: {edited:?}");
            assert!(
                edited.err.contains("history row of version 1 was edited by hand")
                    && edited.err.contains(words),
                "{edited:?}"
            );
        }
        assert_eq!(migrate(&db, &["status"], &folder).await.code, 0);
        db.run("TRUNCATE refinery_schema_history; INSERT INTO refinery_schema_history SELECT * FROM saved; DROP TABLE saved")
            .await;
    }
    assert_eq!(migrate(&db, &["verify"], &folder).await.code, 0);
}

#[tokio::test]
async fn what_a_file_sets_reaches_neither_its_history_row_nor_the_next_file() {
    let db = TestDb::empty().await;
    db.run("CREATE SCHEMA elsewhere").await;
    let role = format!("role_of_{}", db.name());
    db.run(&format!("CREATE ROLE {role}")).await;
    let folder = Folder::with(&[
        (
            "V1__leaky.sql",
            &format!(
                "SELECT set_config('search_path', '', false);\nSET lock_timeout = '1ms';\nSET TimeZone = 'Asia/Kolkata';\n\
                 SET default_transaction_isolation = 'serializable';\nSET ROLE {role};"
            ),
        ),
        (
            "V2__next.sql",
            "CREATE TABLE seen AS SELECT current_setting('search_path') AS path, current_setting('TimeZone') AS zone,
                    current_user::text AS name, current_setting('statement_timeout') AS statement_timeout,
                    current_setting('lock_timeout') AS lock_timeout",
        ),
    ]);
    let up = migrate(&db, &["up"], &folder).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(db.versions().await, ["1", "2"]);
    let seen = db
        .texts("SELECT concat_ws('|', path, zone, name, statement_timeout, lock_timeout) FROM public.seen")
        .await;
    assert_eq!(seen, ["\"$user\", public|UTC|postgres|0|5s"]);
}

#[tokio::test]
async fn the_history_may_be_a_table_of_another_name() {
    let db = TestDb::empty().await;
    let folder = Folder::with(FILES);
    let elsewhere = ["up", "--history-table", "app.Hist"];
    assert_eq!(migrate(&db, &elsewhere, &folder).await.code, 0);
    assert_eq!(db.texts("SELECT version FROM app.\"Hist\" ORDER BY 1").await, ["1", "2"]);
    assert_eq!(db.texts("SELECT to_regclass('public.refinery_schema_history')").await, [""]);
    assert_eq!(migrate(&db, &elsewhere, &folder).await.code, 0);
    assert_eq!(migrate(&db, &["up", "--history-table", "a.b.c"], &folder).await.code, 2);
}

#[tokio::test]
async fn a_role_without_rights_on_the_database_needs_none() {
    let db = TestDb::empty().await;
    let role = format!("owner_of_{}", db.name());
    db.run(&format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA highwater AUTHORIZATION {role}; GRANT CREATE ON SCHEMA public TO {role}"))
        .await;
    let url = db.url().replacen("//postgres@", &format!("//{role}@"), 1);
    let up = migrate_at(&url, &["up"], Some(&Folder::with(FILES))).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(db.versions().await, ["1", "2"]);
}
