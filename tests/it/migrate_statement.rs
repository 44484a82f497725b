//! A migration and its history row are one: both or neither, and a failure says where.

use highwater::db::Executor;

use crate::migrate_database::{Folder, TestDb, ended, migrate, start};

#[tokio::test]
async fn a_failing_statement_is_told_with_its_place_and_leaves_nothing() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[
        ("V1__ok.sql", "CREATE TABLE ok ();"),
        (
            "V2__bad.sql",
            "-- é\nCREATE TABLE half (a int UNIQUE);\nINSERT INTO half\n  VALUES (1);\n\n  SELECT 'é',\n    nope FROM half;\n",
        ),
    ]);
    let bad = migrate(&db, &["up"], &folder).await;
    assert_eq!(bad.code, 7, "{bad:?}");
    assert!(
        bad.err.contains(
            "V2__bad.sql:7:5: SELECT 'é', nope FROM half: column \"nope\" does not exist (SQLSTATE 42703)"
        ),
        "{bad:?}"
    );
    assert_eq!(db.versions().await, ["1"]);
    assert_eq!(db.texts("SELECT to_regclass('half')").await, [""]);
    // Without a position from the server the statement's own place stands in.
    folder.write("V2__bad.sql", "CREATE TABLE half (a int UNIQUE);\n  INSERT INTO half VALUES (1), (1);\n");
    let bad = migrate(&db, &["up"], &folder).await;
    assert!(
        bad.err.contains("V2__bad.sql:2:3: INSERT INTO half") && bad.err.contains("Key (a)=(1)"),
        "{bad:?}"
    );
    folder.write("V2__bad.sql", "CREATE TABLE half (a int UNIQUE);");
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
}

#[tokio::test]
async fn a_constraint_that_fails_at_the_commit_leaves_nothing() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[(
        "V1__late.sql",
        "CREATE TABLE late (a int, CONSTRAINT late_a UNIQUE (a) DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO late VALUES (1), (1);",
    )]);
    let bad = migrate(&db, &["up"], &folder).await;
    assert_eq!(bad.code, 7, "{bad:?}");
    assert!(bad.err.contains("late_a"), "{bad:?}");
    assert_eq!(db.versions().await, [""; 0]);
}

#[tokio::test]
async fn a_lock_that_is_not_to_be_had_is_tried_again_and_then_given_up() {
    let db = TestDb::empty().await;
    db.run("CREATE TABLE t (a int)").await;
    let folder =
        Folder::with(&[("V1__drop.sql", "-- highwater: lock-timeout 100ms, retries 2\nDROP TABLE t;")]);
    let mut reader = db.session().await;
    let open = reader.begin().await.unwrap();
    open.batch("SELECT FROM t").await.unwrap();
    let given_up = migrate(&db, &["up"], &folder).await;
    assert_eq!(given_up.code, 7, "{given_up:?}");
    assert!(
        given_up.err.contains("attempt 2 of 2") && given_up.err.contains("V1__drop.sql:2:1: "),
        "{given_up:?}"
    );
    folder.write("V1__drop.sql", "-- highwater: lock-timeout 100ms, retries 100\nDROP TABLE t;");
    let run = start(&db, &["up"], &folder);
    db.wait_for("SELECT FROM pg_stat_activity WHERE datname = current_database() AND query = 'DROP TABLE t'")
        .await;
    open.commit().await.unwrap();
    let run = ended(run).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(db.versions().await, ["1"]);
}

#[tokio::test]
async fn bodies_rules_and_data_pass_through_unharmed() {
    let db = TestDb::empty().await;
    let folder = Folder::with(&[(
        "V1__all.sql",
        "CREATE TABLE t (a text);
         CREATE RULE r AS ON DELETE TO t DO ALSO (SELECT 1; SELECT 2);
         CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;
         CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $g$ BEGIN NEW.a := 'x;'; RETURN NEW; END; $g$;
         DO $$ BEGIN PERFORM 1; END $$;
         INSERT INTO t VALUES ('a;b'), (E'c\\';d'), ($x$e;'f$x$) /* ; /* ; */ ; */ -- ;
         ;",
    )]);
    let up = migrate(&db, &["up"], &folder).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(db.texts("SELECT a FROM t ORDER BY a").await, ["a;b", "c';d", "e;'f"]);
}

#[tokio::test]
async fn versions_go_up_to_the_goal_and_no_further() {
    let db = TestDb::empty().await;
    let folder =
        Folder::with(&[("V9__b.sql", "SELECT 9;"), ("V10__c.sql", "SELECT 10;"), ("V2__a.sql", "SELECT 2;")]);
    assert_eq!(migrate(&db, &["up", "--to", "9"], &folder).await.code, 0);
    assert_eq!(db.versions().await, ["2", "9"]);
    assert_eq!(migrate(&db, &["status", "--check"], &folder).await.code, 3);
    assert_eq!(migrate(&db, &["up", "--to", "2"], &folder).await.code, 0);
    assert_eq!(migrate(&db, &["up"], &folder).await.code, 0);
    assert_eq!(db.versions().await, ["2", "9", "10"]);
}
