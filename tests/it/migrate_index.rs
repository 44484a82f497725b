//! Statements outside a transaction: each may be cut off anywhere, and the next run makes it whole.

use highwater::db::Executor;

use crate::migrate_database::{Folder, TestDb, migrate};

const BUILD: &str = "-- highwater: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_key ON t (lower(a)) WHERE b;";

const INDEXES: &str = "SELECT concat_ws(' ', indexrelid::regclass, indisvalid) FROM pg_index
                        WHERE indrelid = 't'::regclass ORDER BY 1";

/// A table whose rows are not unique, and the half-built index that says so.
async fn half_built(db: &TestDb) {
    db.run("CREATE TABLE t (a text, b boolean); INSERT INTO t VALUES ('x', true), ('X', true)").await;
    db.run("CREATE INDEX t_b ON t (b)").await;
    let failed =
        db.session().await.batch("CREATE UNIQUE INDEX CONCURRENTLY t_key ON t (lower(a)) WHERE b").await;
    assert_eq!(failed.unwrap_err().code(), Some("23505"));
    assert_eq!(db.texts(INDEXES).await, ["t_b t", "t_key f"]);
}

#[tokio::test]
async fn a_half_built_index_is_dropped_and_rebuilt_and_no_other_is_touched() {
    let db = TestDb::empty().await;
    half_built(&db).await;
    let folder = Folder::with(&[("V1__key.sql", BUILD)]);
    let other = db.texts("SELECT 't_b'::regclass::oid").await;
    // IF NOT EXISTS alone would call this success.
    let failed = migrate(&db, &["up"], &folder).await;
    assert_eq!(failed.code, 7, "{failed:?}");
    assert!(failed.err.contains("V1__key.sql:2:1: ") && failed.err.contains("23505"), "{failed:?}");
    assert_eq!(db.versions().await, [""; 0]);
    db.run("DELETE FROM t WHERE a = 'X'").await;
    let up = migrate(&db, &["up"], &folder).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert!(up.out.contains("dropped the invalid index \"t_key\""), "{up:?}");
    assert_eq!(db.texts(INDEXES).await, ["t_b t", "t_key t"]);
    assert_eq!(db.texts("SELECT 't_b'::regclass::oid").await, other);
    assert_eq!(db.versions().await, ["1"]);
}

#[tokio::test]
async fn a_valid_index_whose_record_is_missing_is_kept_and_recorded() {
    let db = TestDb::empty().await;
    db.run("CREATE TABLE t (a text COLLATE \"C\", b boolean); CREATE UNIQUE INDEX t_key ON t USING btree (lower(a)) WHERE (b)")
        .await;
    let there = db.texts("SELECT 't_key'::regclass::oid").await;
    let folder = Folder::with(&[("V1__key.sql", BUILD)]);
    let up = migrate(&db, &["up"], &folder).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert!(up.out.contains("index \"t_key\" is there already"), "{up:?}");
    assert_eq!(db.texts("SELECT 't_key'::regclass::oid").await, there);
    assert_eq!(db.versions().await, ["1"]);
}

#[tokio::test]
async fn an_index_of_another_definition_or_a_relation_of_its_name_is_an_error() {
    for (there, words) in [
        ("CREATE INDEX t_key ON t (lower(a)) WHERE b", "with another definition"),
        ("CREATE UNIQUE INDEX t_key ON t (lower(a)) WHERE NOT b", "with another definition"),
        ("CREATE UNIQUE INDEX t_key ON t (a) WHERE b", "with another definition"),
        ("CREATE TABLE t_key ()", "is no index but another relation"),
        ("CREATE TABLE u (a text); CREATE INDEX t_key ON u (a)", "is on another table"),
    ] {
        let db = TestDb::empty().await;
        db.run(&format!("CREATE TABLE t (a text, b boolean); {there}")).await;
        let before = db.texts("SELECT 't_key'::regclass::oid").await;
        let up = migrate(&db, &["up"], &Folder::with(&[("V1__key.sql", BUILD)])).await;
        assert_eq!(up.code, 7, "{there}: {up:?}");
        assert!(up.err.contains(words), "{there}: {up:?}");
        assert_eq!(db.texts("SELECT 't_key'::regclass::oid").await, before);
        assert_eq!(db.versions().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_chain_of_builds_and_drops_ends_with_the_last_index() {
    let db = TestDb::empty().await;
    half_built(&db).await;
    db.run("DELETE FROM t WHERE a = 'X'").await;
    let folder = Folder::with(&[
        ("V1__key.sql", BUILD),
        ("V2__drop_old.sql", "-- highwater: no-transaction\nDROP INDEX CONCURRENTLY t_b;"),
        ("V3__rebuild.sql", "-- highwater: no-transaction\nREINDEX INDEX CONCURRENTLY t_key;"),
        ("V4__vacuum.sql", "-- highwater: no-transaction\nVACUUM (ANALYZE) t;"),
    ]);
    let up = migrate(&db, &["up"], &folder).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(db.texts(INDEXES).await, ["t_key t"]);
    assert_eq!(db.versions().await, ["1", "2", "3", "4"]);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
}

#[tokio::test]
async fn a_drop_that_was_cut_off_before_its_record_is_recorded() {
    let db = TestDb::empty().await;
    db.run("CREATE TABLE t (a text); CREATE INDEX t_a ON t (a)").await;
    let drop = "-- highwater: no-transaction\nDROP INDEX CONCURRENTLY t_a;";
    let folder = Folder::with(&[("V1__drop.sql", drop)]);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    db.run(
        "DELETE FROM refinery_schema_history;
         UPDATE highwater.migration_run SET finished_at = NULL, duration_ms = NULL WHERE scope = 'app'",
    )
    .await;
    let status = migrate(&db, &["status"], &folder).await;
    assert!(status.out.contains("V1__drop  cut off, begun "), "{status:?}");
    let up = migrate(&db, &["up"], &folder).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(db.versions().await, ["1"]);
    // A name that was never there is a mistake, not a drop that was done.
    folder.write("V2__typo.sql", "-- highwater: no-transaction\nDROP INDEX CONCURRENTLY t_aa;");
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 7);
}

#[tokio::test]
async fn an_index_of_an_extensions_operator_class_is_recognised() {
    let db = TestDb::empty().await;
    if db.texts("SELECT name FROM pg_available_extensions WHERE name = 'pg_trgm'").await.is_empty() {
        return;
    }
    db.run(
        "CREATE EXTENSION pg_trgm; CREATE TABLE t (a text, b boolean);
         CREATE INDEX t_a ON t USING gin (a gin_trgm_ops)",
    )
    .await;
    let build = "-- highwater: no-transaction\nCREATE INDEX CONCURRENTLY t_a ON t USING gin (a gin_trgm_ops)";
    let up = migrate(&db, &["up"], &Folder::with(&[("V1__a.sql", build)])).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert!(up.out.contains("is there already"), "{up:?}");
}
