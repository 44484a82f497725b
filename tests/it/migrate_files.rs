//! Bad files and edited files: each a clear error that names the file, all of them in one run, and nothing written.

use crate::migrate_database::{Folder, TestDb, migrate, migrate_at};

/// Tables and schemas of ours.
const TOUCHED: &str = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'highwater'";

#[tokio::test]
async fn every_bad_file_is_named_in_one_run_and_nothing_is_written() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[
        ("V1__ok.sql", "CREATE TABLE a ();"),
        ("V2__foo-bar.sql", ""),
        ("v3__lower.sql", ""),
        ("V4_single.sql", ""),
        ("V5__ok.SQL", ""),
        ("V6__ok.down.sql", ""),
        ("V7__commit.sql", "CREATE TABLE b ();\nCOMMIT;"),
        ("V8__typo.sql", "-- highwater: no-transactoin\nVACUUM;"),
        ("V9__two.sql", "-- highwater: no-transaction\nVACUUM; VACUUM;"),
        ("V10__gone.sql", "-- highwater: add-rollup gone.toml\n"),
        ("V11__hook.sql", "-- highwater: hook nobody\n"),
        ("V1__again.sql", ""),
        ("U12__any.sql", ""),
        ("README.md", ""),
    ]);
    for action in ["up", "plan", "status", "verify"] {
        let bad = migrate(&db, &[action], &folder).await;
        assert_eq!(bad.code, 2, "{bad:?}");
        for name in [
            "V2__foo-bar.sql: ",
            "v3__lower.sql: ",
            "V4_single.sql: ",
            "V5__ok.SQL: ",
            "V6__ok.down.sql: ",
            "V7__commit.sql:2:1: COMMIT ",
            "V8__typo.sql:1:1: unknown directive",
            "V9__two.sql:2:9: ",
            "V10__gone.sql:1:1: add-rollup gone.toml",
            "U12__any.sql: ",
            "version 1 is taken by ",
        ] {
            assert!(bad.err.contains(name), "{name} in {}", bad.err);
        }
        assert!(!bad.err.contains("README"), "{}", bad.err);
    }
    assert_eq!(db.texts(TOUCHED).await, [""; 0]);
}

#[tokio::test]
async fn an_unregistered_hook_and_an_unknown_version_are_usage_errors() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[("V1__hook.sql", "-- highwater: hook nobody\nSELECT 1;")]);
    let bad = migrate(&db, &["up"], &folder).await;
    assert_eq!(bad.code, 2, "{bad:?}");
    assert!(bad.err.contains("hook \"nobody\" is not registered"), "{bad:?}");
    folder.write("V1__hook.sql", "SELECT 1;");
    let bad = migrate(&db, &["up", "--to", "7"], &folder).await;
    assert_eq!(bad.code, 2, "{bad:?}");
    assert!(bad.err.contains("no migration has version 7; the newest is 1"), "{bad:?}");
    assert_eq!(migrate(&db, &["sideways"], &folder).await.code, 2);
    assert_eq!(db.texts(TOUCHED).await, [""; 0]);
}

#[tokio::test]
async fn plan_and_status_of_an_untouched_database_touch_nothing() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[("V1__a.sql", "CREATE TABLE a ();")]);
    for args in [&["plan"][..], &["status"], &["verify"], &["up", "--dry-run"], &["plan", "--format", "json"]]
    {
        let read = migrate(&db, args, &folder).await;
        assert_eq!(read.code, 0, "{args:?}: {read:?}");
    }
    assert_eq!(migrate(&db, &["status", "--check"], &folder).await.code, 3);
    assert_eq!(db.texts(TOUCHED).await, [""; 0]);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    assert_eq!(migrate(&db, &["status", "--check"], &folder).await.code, 0);
}

#[tokio::test]
async fn every_difference_is_named_and_weighed() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[
        ("V1__a.sql", "SELECT 1;\nSELECT 2;\n"),
        ("V3__c.sql", "SELECT 3;"),
        ("V4__d.sql", "SELECT 4;"),
        ("V5__e.sql", "SELECT 5;"),
        ("V6__f.sql", "SELECT 6;"),
    ]);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    assert_eq!(migrate(&db, &["verify"], &folder).await.code, 0);
    folder.write("V1__a.sql", "SELECT 1;\r\nSELECT 2;\r\n");
    folder.write("V2__b.sql", "SELECT 2;");
    folder.write("V3__c.sql", "-- a word\nSELECT 3;");
    folder.write("V4__d.sql", "SELECT 44;");
    folder.remove("V5__e.sql");
    folder.remove("V6__f.sql");
    folder.write("V6__g.sql", "SELECT 6;");
    folder.write("V7__h.sql", "CREATE TABLE h ();");
    for action in ["verify", "up"] {
        let drift = migrate(&db, &[action], &folder).await;
        assert_eq!(drift.code, 4, "{drift:?}");
        for words in [
            "V1__a.sql: only line ends differ",
            "V2__b.sql: version 2 was never applied, but 6 was",
            "V3__c.sql: only comments or spacing differ",
            "V4__d.sql: the SQL differs",
            "V5__e: was applied, but its file is missing",
            "V6__g.sql: was applied under the name \"f\"",
        ] {
            assert!(drift.err.contains(words), "{words} in {}", drift.err);
        }
    }
    assert_eq!(migrate(&db, &["status", "--check"], &folder).await.code, 4);
    assert_eq!(db.texts("SELECT to_regclass('h')").await, [""]);
    let json = migrate(&db, &["verify", "--format", "json"], &folder).await;
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["exit"], 4);
    assert_eq!(document["drift"].as_array().unwrap().len(), 6);
    assert_eq!(document["drift"][2]["change"]["kind"], "sql");
}

#[tokio::test]
async fn a_schema_from_a_newer_build_is_refused_with_the_remedy() {
    let db = TestDb::empty().await;
    assert_eq!(migrate_at(&db.url(), &["up"], None).await.code, 0);
    db.run(
        "INSERT INTO highwater.refinery_schema_history VALUES (999, 'later', '2026-01-01T00:00:00Z', '1')",
    )
    .await;
    let newer = migrate_at(&db.url(), &["up"], None).await;
    assert_eq!(newer.code, 3, "{newer:?}");
    assert!(newer.err.contains("schema is at version 999, this build knows "), "{newer:?}");
}

#[tokio::test]
async fn json_is_one_document_or_one_event_a_line() {
    let db = TestDb::empty().await;
    let folder =
        Folder::with(&[("V1__a.sql", "CREATE TABLE a ();"), ("V2__b.sql", "DROP TABLE a; SELECT nope;")]);
    let plan = migrate(&db, &["plan", "--format", "json"], &folder).await;
    let plan: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
    let drop = &plan["pending"].as_array().unwrap().last().unwrap()["statements"][0];
    assert_eq!((&drop["lock"], &drop["relation"]), (&"ACCESS_EXCLUSIVE".into(), &"\"a\"".into()));
    let up = migrate(&db, &["up", "--format", "json"], &folder).await;
    assert_eq!(up.code, 7, "{up:?}");
    let events: Vec<serde_json::Value> =
        up.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["exit"], &last["line"], &last["column"]),
        (&"failed".into(), &7.into(), &1.into(), &22.into())
    );
    assert!(
        events
            .iter()
            .any(|event| event["event"] == "applied" && event["scope"] == "app" && event["version"] == 1)
    );
}
