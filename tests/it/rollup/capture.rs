//! Capture: whatever changes the source leaves its mark, in the writer's own transaction.

use highwater::db::{Executor, Session};

use super::field::{self, ROWS, TRUTH};

/// Makes a change, checks that the rollup has become wrong by it and that a drain makes it right.
async fn follows(session: &mut Session, change: &str) {
    session.batch(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
    assert!(!field::differences(session, ROWS, TRUTH).await.is_empty(), "changes nothing: {change}");
    field::assert_exact(session).await;
    assert_eq!(marks(session).await, 0, "{change}");
}

async fn marks(session: &Session) -> i64 {
    field::number(session, "SELECT (SELECT count(*) FROM highwater.event_hourly_mark) + (SELECT count(*) FROM highwater.event_hourly_wide)")
        .await
}

#[tokio::test]
async fn every_statement_that_changes_the_source_counts() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let changes = [
        "INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '2024-02-10 12:34+00', 'k1', 5)",
        "INSERT INTO app.event (tenant, at, key, amount) SELECT 't' || n, '2024-02-10 12:34+00', 'k1', 5 FROM generate_series(1, 30) AS n",
        "UPDATE app.event SET amount = amount + 1 WHERE id % 10 = 0",
        "UPDATE app.event SET at = at + interval '40 days' WHERE id % 10 = 1",
        "UPDATE app.event SET key = 'moved' WHERE id % 10 = 2",
        "UPDATE app.event SET tenant = 'other' WHERE id % 10 = 3",
        "UPDATE app.event SET key = NULL WHERE key = ''",
        "UPDATE app.event SET note = 'the same' WHERE id % 10 = 4",
        "DELETE FROM app.event WHERE id % 10 = 5",
        "INSERT INTO app.event (id, tenant, at, key, amount) SELECT id, tenant, at, key, 1000 FROM app.event WHERE id % 100 = 6
             ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, at = app.event.at + interval '1 hour'",
        "MERGE INTO app.event AS e USING (VALUES (8, 'merged'), (18, 'gone'), (-1, 'new')) AS v (id, key) ON e.id = v.id
             WHEN MATCHED AND v.key = 'gone' THEN DELETE
             WHEN MATCHED THEN UPDATE SET key = v.key
             WHEN NOT MATCHED THEN INSERT (id, tenant, at, key, amount) VALUES (v.id, 't1', '2019-07-01', v.key, 1)",
        "WITH gone AS (DELETE FROM app.event WHERE id % 10 = 7 RETURNING tenant, at, key, amount)
             INSERT INTO app.event (tenant, at, key, amount) SELECT tenant, at + interval '1 day', key, amount FROM gone",
        "BEGIN; TRUNCATE app.event; INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '2024-03-01', 'k', 1); COMMIT",
        "TRUNCATE app.event",
    ];
    for change in changes {
        follows(&mut session, change).await;
    }
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly").await, 0);
}

#[tokio::test]
async fn a_copy_counts() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let sink =
        session.copy_in("COPY app.event (tenant, at, key, amount) FROM STDIN (FORMAT csv)").await.unwrap();
    let rows = "t1,2024-02-10 12:34+00,k1,5\nt1,2031-02-10 12:34+00,,6\nt1,2031-02-10 12:34+00,\"\",7\n";
    futures_util::pin_mut!(sink);
    futures_util::SinkExt::send(&mut sink, rows.into()).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 3);
    assert!(!field::differences(&session, ROWS, TRUTH).await.is_empty());
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_truncate_that_cascades_to_the_source_counts() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session
        .batch("CREATE TABLE app.kind (note text PRIMARY KEY); INSERT INTO app.kind SELECT DISTINCT note FROM app.event;
                ALTER TABLE app.event ADD FOREIGN KEY (note) REFERENCES app.kind")
        .await
        .unwrap();
    follows(&mut session, "TRUNCATE app.kind CASCADE").await;
}

#[tokio::test]
async fn what_is_rolled_back_leaves_no_mark() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let insert =
        "INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '2024-02-10 12:34+00', 'k1', 5)";
    session
        .batch(&format!("BEGIN; {insert}; UPDATE app.event SET amount = 0; TRUNCATE app.event; ROLLBACK"))
        .await
        .unwrap();
    assert_eq!(marks(&session).await, 0);
    session.batch(&format!("BEGIN; SAVEPOINT s; {insert}; ROLLBACK TO s; COMMIT")).await.unwrap();
    assert_eq!(marks(&session).await, 0);
    let kept = format!(
        "BEGIN; SAVEPOINT s; UPDATE app.event SET amount = 0; ROLLBACK TO s; {insert}; SAVEPOINT t; DELETE FROM app.event; ROLLBACK TO t; COMMIT"
    );
    session.batch(&kept).await.unwrap();
    assert_eq!(marks(&session).await, 1);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_statement_marks_each_bucket_once_and_writers_never_wait_for_each_other() {
    let db = field::complete().await;
    let (mut one, mut other) = (db.session().await, db.session().await);
    let insert = "INSERT INTO app.event (tenant, at, key, amount) SELECT 't1', '2024-02-10 12:34+00', 'k', n FROM generate_series(1, 100) AS n";
    let first = one.begin().await.unwrap();
    first.batch(insert).await.unwrap();
    // The same bucket, while the first has not committed: with a unique key on marks this would wait for ever.
    other.batch(&format!("SET statement_timeout = '10s'; {insert}; RESET statement_timeout")).await.unwrap();
    field::drain(&mut other, "event_hourly").await;
    first.commit().await.unwrap();
    assert_eq!(marks(&one).await, 1);
    field::assert_exact(&mut one).await;
}

#[tokio::test]
async fn an_application_role_writes_with_rights_on_its_own_table_only() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let role = format!("app_{}", db.name());
    session
        .batch(&format!(
            "CREATE ROLE {role}; GRANT USAGE ON SCHEMA app TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON app.event TO {role};
             GRANT USAGE ON SEQUENCE app.event_id_seq TO {role}"
        ))
        .await
        .unwrap();
    let as_role = async |session: &mut Session, change: &str| {
        // A search path of the caller's own must not lead capture astray.
        let change = format!(
            "SET ROLE {role}; SET search_path = pg_temp, app; {change}; RESET ROLE; RESET search_path"
        );
        follows(session, &change).await;
    };
    as_role(
        &mut session,
        "INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2024-02-10 12:34+00', 5)",
    )
    .await;
    as_role(&mut session, "UPDATE app.event SET amount = amount + 1 WHERE id < 50").await;
    as_role(&mut session, "DELETE FROM app.event WHERE id < 20").await;
    as_role(&mut session, "TRUNCATE app.event").await;
    session.batch(&format!("SET ROLE {role}")).await.unwrap();
    let refused = session.batch("SELECT * FROM highwater.event_hourly_mark").await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
    session.batch(&format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}
