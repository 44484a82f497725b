//! Watched tables: a change in a joined table moves history, at once for readers of the live view and after a drain for
//! readers of the table. What stands under a key that waits for its expansion is known to be open.

use highwater::db::{Executor, Session};
use highwater::rollup::backfill::Options;

use super::field;
use crate::support::TestDb;
use crate::support::program::highwater;

const SCHEMA: &str = include_str!("../../../examples/task_usage/schema.sql");
const DEFINITION: &str = include_str!("../../../examples/task_usage/task_usage_hourly.toml");

/// Two workspaces, four agents, six issues, forty tasks, each with usage in some hours of five months.
const SEED: &str = "
INSERT INTO app.agent SELECT pg_temp.id('agent', n), pg_temp.id('workspace', n % 2), pg_temp.id('runtime', n % 3) FROM generate_series(0, 3) AS n;
INSERT INTO app.issue SELECT pg_temp.id('issue', n), pg_temp.id('workspace', n % 2), CASE WHEN n > 1 THEN pg_temp.id('project', n % 3) END FROM generate_series(0, 5) AS n;
INSERT INTO app.task SELECT pg_temp.id('task', n), pg_temp.id('agent', n % 4), CASE WHEN n % 5 > 0 THEN pg_temp.id('issue', n % 6) END FROM generate_series(0, 39) AS n;
INSERT INTO app.task_usage (workspace_id, task_id, provider, model, input_tokens, output_tokens, created_at)
SELECT pg_temp.id('workspace', n % 2), pg_temp.id('task', n), 'p', 'm' || m, n + 1, m, timestamptz '2024-01-10 00:40+00' + (n * 89 + m * 7) * interval '1 hour'
  FROM generate_series(0, 39) AS n, generate_series(0, 4) AS m;
ANALYZE app.task_usage, app.task;";

/// Names instead of random identities, so that a failure can be read.
const ID: &str = "
CREATE FUNCTION pg_temp.id(kind text, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex(length(kind)), 8, '0') || '-0000-0000-0000-' || lpad(to_hex(ascii(kind)), 4, '0') || lpad(to_hex(n), 8, '0'))::uuid $$;";

const COLUMNS: &str = "workspace_id, bucket, runtime_id, agent_id, project_id, provider, model, input_tokens, output_tokens, task_count, event_count";

pub const TRUTH: &str = "
SELECT u.workspace_id, date_trunc('hour', u.created_at, 'UTC') AS bucket, agent.runtime_id, task.agent_id, issue.project_id, u.provider, u.model,
       sum(u.input_tokens)::bigint, sum(u.output_tokens)::bigint, count(DISTINCT u.task_id), count(*)
  FROM app.task_usage AS u LEFT JOIN app.task ON task.id = u.task_id LEFT JOIN app.agent ON agent.id = task.agent_id
  LEFT JOIN app.issue ON issue.id = task.issue_id GROUP BY 1, 2, 3, 4, 5, 6, 7";

fn rows() -> String {
    format!("SELECT {COLUMNS} FROM highwater.task_usage_hourly")
}

fn live() -> String {
    format!("SELECT {COLUMNS} FROM highwater.task_usage_hourly_live")
}

async fn complete() -> (TestDb, Session) {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(&format!("{ID}{SCHEMA}{SEED}")).await.unwrap();
    field::add(&mut session, DEFINITION).await.unwrap();
    field::backfill_of(&db, "task_usage_hourly", &Options::default()).await.unwrap();
    field::assert_same(&session, &rows(), TRUTH).await;
    (db, session)
}

async fn waiting(session: &Session) -> i64 {
    field::number(session, "SELECT count(*) FROM highwater.task_usage_hourly_watch").await
}

async fn drained(session: &mut Session) {
    field::drain(session, "task_usage_hourly").await;
    field::assert_same(session, &rows(), TRUTH).await;
    assert_eq!(waiting(session).await, 0);
}

/// Makes a change that must move history: readers of the live view see it inside the transaction and after it, a proof
/// knows it for open, and a drain makes the table right.
async fn follows(db: &TestDb, session: &mut Session, change: &str) {
    let tx = session.begin().await.unwrap();
    tx.batch(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
    assert!(!field::differences(&tx, &rows(), TRUTH).await.is_empty(), "changes nothing: {change}");
    field::assert_same(&tx, &live(), TRUTH).await;
    tx.commit().await.unwrap();
    field::assert_same(session, &live(), TRUTH).await;
    let proof = field::verify(db, "task_usage_hourly").await;
    assert!(proof.drifted == 0 && proof.open > 0, "{change}: {proof:?}");
    drained(session).await;
    let proof = field::verify(db, "task_usage_hourly").await;
    assert_eq!((proof.drifted, proof.open), (0, 0), "{change}");
}

#[tokio::test]
async fn every_change_of_a_watched_table_moves_history() {
    let (db, mut session) = complete().await;
    for change in [
        "UPDATE app.issue SET project_id = pg_temp.id('project', 9) WHERE id = pg_temp.id('issue', 3)",
        "UPDATE app.agent SET runtime_id = NULL WHERE id = pg_temp.id('agent', 1)",
        "UPDATE app.task SET agent_id = pg_temp.id('agent', 2), issue_id = NULL WHERE id = pg_temp.id('task', 7)",
        "UPDATE app.task SET issue_id = pg_temp.id('issue', 2) WHERE issue_id IS NULL",
        // a key that changes, under children that follow it
        "ALTER TABLE app.task DROP CONSTRAINT task_issue_id_fkey;
         UPDATE app.issue SET id = pg_temp.id('issue', 77) WHERE id = pg_temp.id('issue', 4)",
        "INSERT INTO app.issue VALUES (pg_temp.id('issue', 4), pg_temp.id('workspace', 0), pg_temp.id('project', 8))",
        "INSERT INTO app.issue VALUES (pg_temp.id('issue', 5), pg_temp.id('workspace', 0), pg_temp.id('project', 7))
             ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id",
        "MERGE INTO app.issue AS i USING (VALUES (pg_temp.id('issue', 5))) AS v (id) ON i.id = v.id WHEN MATCHED THEN DELETE",
        // the way back and forth in one transaction, then on
        "UPDATE app.task SET agent_id = pg_temp.id('agent', 3); UPDATE app.task SET agent_id = pg_temp.id('agent', 0) WHERE issue_id = pg_temp.id('issue', 2)",
        "UPDATE app.agent SET runtime_id = pg_temp.id('runtime', 5)",
        "DELETE FROM app.agent WHERE id = pg_temp.id('agent', 0)",
        "TRUNCATE app.issue",
        "TRUNCATE app.agent CASCADE",
    ] {
        follows(&db, &mut session, change).await;
    }
}

#[tokio::test]
async fn a_change_that_moves_nothing_leaves_no_key() {
    let (_db, session) = complete().await;
    session
        .batch(
            "UPDATE app.issue SET workspace_id = pg_temp.id('workspace', 5);
             UPDATE app.issue SET project_id = project_id;
             BEGIN; UPDATE app.issue SET project_id = NULL; ROLLBACK;
             BEGIN; SAVEPOINT s; DELETE FROM app.issue; ROLLBACK TO s; COMMIT",
        )
        .await
        .unwrap();
    assert_eq!(waiting(&session).await, 0);
}

/// e5, e7. The old design's triggers joined the row that was just deleted, or enqueued the workspace where the key
/// is the agent's: phantom spend was kept.
#[tokio::test]
async fn a_parent_that_is_deleted_before_its_children_takes_their_history_along() {
    let (db, mut session) = complete().await;
    session
        .batch("ALTER TABLE app.task DROP CONSTRAINT task_agent_id_fkey; ALTER TABLE app.task_usage DROP CONSTRAINT task_usage_task_id_fkey")
        .await
        .unwrap();
    for change in [
        "DELETE FROM app.agent WHERE id = pg_temp.id('agent', 3)",
        "DELETE FROM app.task WHERE agent_id = pg_temp.id('agent', 3)",
        "DELETE FROM app.task_usage WHERE task_id NOT IN (SELECT id FROM app.task)",
        "DELETE FROM app.agent WHERE id = pg_temp.id('agent', 2); DELETE FROM app.task WHERE agent_id = pg_temp.id('agent', 2)",
    ] {
        follows(&db, &mut session, change).await;
    }
}

/// The trigger of the parent cannot see the event, the trigger of the event cannot see the parent's change; whoever
/// expands keys inside a trigger loses it.
#[tokio::test]
async fn a_change_that_races_an_uncommitted_event_is_not_lost() {
    let (db, mut session) = complete().await;
    let mut inserting = db.session().await;
    let mut moving = db.session().await;
    inserting.batch(ID).await.unwrap();
    moving.batch(ID).await.unwrap();
    let insert = "INSERT INTO app.task_usage (workspace_id, task_id, provider, model, input_tokens, created_at)
                  VALUES (pg_temp.id('workspace', 0), pg_temp.id('task', 4), 'p', 'raced', 1000, '2024-02-02 02:02+00')";
    let change = "UPDATE app.task SET agent_id = pg_temp.id('agent', 1) WHERE id = pg_temp.id('task', 4)";
    // Without the foreign key's lock on the task, so that the two can overlap at all.
    session.batch("ALTER TABLE app.task_usage DROP CONSTRAINT task_usage_task_id_fkey").await.unwrap();
    for first_commits_the_event in [true, false] {
        let event = inserting.begin().await.unwrap();
        event.batch(insert).await.unwrap();
        let parent = moving.begin().await.unwrap();
        parent.batch(change).await.unwrap();
        if first_commits_the_event {
            event.commit().await.unwrap();
            field::drain(&mut session, "task_usage_hourly").await;
            field::assert_same(&session, &live(), TRUTH).await;
            parent.commit().await.unwrap();
        } else {
            parent.commit().await.unwrap();
            field::drain(&mut session, "task_usage_hourly").await;
            field::assert_same(&session, &live(), TRUTH).await;
            event.commit().await.unwrap();
        }
        field::assert_same(&session, &live(), TRUTH).await;
        drained(&mut session).await;
        session
            .batch("DELETE FROM app.task_usage WHERE model = 'raced'; UPDATE app.task SET agent_id = pg_temp.id('agent', 0) WHERE id = pg_temp.id('task', 4)")
            .await
            .unwrap();
        drained(&mut session).await;
    }
}

/// e1. In the old design the workspace came from the agent, and nothing watched that.
#[tokio::test]
async fn a_change_of_tenant_under_a_waiting_key_is_counted_on_both_sides() {
    let (db, mut session) = complete().await;
    let mut writer = db.session().await;
    writer.batch(ID).await.unwrap();
    let open = writer.begin().await.unwrap();
    open.batch("UPDATE app.task_usage SET workspace_id = pg_temp.id('workspace', 4) WHERE task_id = pg_temp.id('task', 4)").await.unwrap();
    session
        .batch("UPDATE app.task SET agent_id = pg_temp.id('agent', 1) WHERE id = pg_temp.id('task', 4)")
        .await
        .unwrap();
    field::assert_same(&session, &live(), TRUTH).await;
    field::drain(&mut session, "task_usage_hourly").await;
    field::assert_same(&session, &rows(), TRUTH).await;
    open.commit().await.unwrap();
    field::assert_same(&session, &live(), TRUTH).await;
    drained(&mut session).await;
    let moved = "UPDATE app.task_usage SET workspace_id = pg_temp.id('workspace', 5) WHERE task_id = pg_temp.id('task', 5);
                 UPDATE app.task SET agent_id = pg_temp.id('agent', 0) WHERE id = pg_temp.id('task', 5)";
    follows(&db, &mut session, moved).await;
}

#[tokio::test]
async fn the_watermark_holds_while_a_key_waits() {
    let (db, mut session) = complete().await;
    let micros = |what: &str| format!("SELECT (extract(epoch FROM {what}) * 1000000)::bigint");
    session.batch("UPDATE app.agent SET runtime_id = NULL WHERE id = pg_temp.id('agent', 1)").await.unwrap();
    let made = field::number(
        &session,
        &format!("{} FROM highwater.task_usage_hourly_watch", micros("min(marked_at)")),
    )
    .await;
    let watermark =
        format!("{} FROM highwater.rollup WHERE name = 'task_usage_hourly'", micros("watermark_at"));
    session.batch("SELECT highwater.task_usage_hourly_watermark()").await.unwrap();
    assert!(field::number(&session, &watermark).await <= made);
    // An expansion that has not committed shows its key to everybody else.
    let mut other = db.session().await;
    let expanding = other.begin().await.unwrap();
    expanding.batch("SELECT highwater.task_usage_hourly_expand()").await.unwrap();
    session.batch("SELECT highwater.task_usage_hourly_watermark()").await.unwrap();
    assert!(field::number(&session, &watermark).await <= made);
    // A pass has nothing else to do; it does not wait, and says that somebody has to expand.
    let pass = "SELECT outcome FROM highwater.task_usage_hourly_drain()";
    assert_eq!(field::text(&session, pass).await.as_deref(), Some("unexpanded"));
    expanding.commit().await.unwrap();
    // Marks made of the key are as old as the key.
    let oldest = field::number(
        &session,
        &format!("{} FROM highwater.task_usage_hourly_mark", micros("max(marked_at)")),
    )
    .await;
    assert_eq!(oldest, made);
    session.batch("SELECT highwater.task_usage_hourly_watermark()").await.unwrap();
    assert!(field::number(&session, &watermark).await <= made);
    drained(&mut session).await;
    assert!(field::number(&session, &watermark).await > made);
}

/// k11, for keys: buckets that are marked all the time keep no key and no range from its expansion.
#[tokio::test]
async fn a_key_does_not_starve_behind_buckets_that_are_marked_all_the_time() {
    let (_db, session) = complete().await;
    let busy = "UPDATE app.task_usage SET output_tokens = output_tokens + 1";
    session
        .batch(&format!("{busy}; UPDATE app.agent SET runtime_id = NULL; TRUNCATE app.issue CASCADE; {busy}"))
        .await
        .unwrap();
    let pass = "SELECT outcome FROM highwater.task_usage_hourly_drain(1)";
    assert_eq!(field::text(&session, pass).await.as_deref(), Some("unexpanded"));
    session.batch(&format!("SELECT highwater.task_usage_hourly_expand(); {busy}")).await.unwrap();
    assert_eq!(field::text(&session, pass).await.as_deref(), Some("drained"));
}

#[tokio::test]
async fn a_read_is_exact_under_a_waiting_key() {
    let (db, session) = complete().await;
    let read = [
        "rollup",
        "read",
        "task_usage_hourly",
        "--from",
        "2024-01-01",
        "--to",
        "2024-07-01",
        "--tz",
        "Asia/Kolkata",
        "--step",
        "day",
        "--by",
        "project_id",
        "--measure",
        "input_tokens,event_count",
        "--format",
        "json",
    ];
    session.batch("UPDATE app.issue SET project_id = pg_temp.id('project', 42)").await.unwrap();
    let open = highwater(&db, &read).await.success().stdout;
    assert!(open.contains("00700000002a"), "{open}");
    highwater(&db, &["rollup", "drain", "task_usage_hourly"]).await.success();
    assert_eq!(highwater(&db, &read).await.success().stdout, open);
}

#[tokio::test]
async fn capture_missing_on_a_watched_table_is_critical_until_the_definition_is_added_again() {
    let (db, mut session) = complete().await;
    for harm in [
        "ALTER TABLE app.task DISABLE TRIGGER highwater_watch_update",
        "DROP TRIGGER highwater_watch_truncate ON app.issue",
    ] {
        session.batch(harm).await.unwrap();
        let status = highwater(&db, &["status"]).await;
        assert_eq!(status.code(), 2, "{status:?}");
        assert!(status.stdout.contains("no capture on app."), "{status:?}");
        let refused = session
            .batch("SELECT highwater.assert_rollup_current('task_usage_hourly')")
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("not captured"), "{refused}");
        session.batch("UPDATE app.task SET issue_id = NULL WHERE id = pg_temp.id('task', 9)").await.unwrap();
        field::add(&mut session, DEFINITION).await.unwrap();
        drained(&mut session).await;
        assert_eq!(highwater(&db, &["status"]).await.code(), 0);
    }
    let status = highwater(&db, &["status", "--format", "json"]).await;
    session.batch("UPDATE app.task SET issue_id = NULL; UPDATE highwater.task_usage_hourly_watch SET marked_at = now() - interval '2 hours'").await.unwrap();
    let late = highwater(&db, &["status"]).await;
    assert_eq!((status.code(), late.code()), (0, 2), "{late:?}");
}

#[tokio::test]
async fn dropping_a_rollup_leaves_the_watch_of_another() {
    let (db, mut session) = complete().await;
    let other = DEFINITION.replace("name   = \"task_usage_hourly\"", "name = \"usage_by_task\"");
    field::add(&mut session, &other).await.unwrap();
    field::backfill_of(&db, "usage_by_task", &Options::default()).await.unwrap();
    highwater(&db, &["rollup", "drop", "usage_by_task", "--yes"]).await.success();
    follows(&db, &mut session, "UPDATE app.issue SET project_id = NULL WHERE id = pg_temp.id('issue', 3)")
        .await;
    highwater(&db, &["rollup", "drop", "task_usage_hourly", "--yes"]).await.success();
    let left = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'highwater%' AND tgrelid::regclass::text LIKE 'app.%')
                     + (SELECT count(*) FROM pg_proc WHERE proname ~ '^(watch|capture)_(task|agent|issue)')
                     + (SELECT count(*) FROM pg_class WHERE relname LIKE 'task\\_usage\\_hourly%')";
    assert_eq!(field::number(&session, left).await, 0);
    session.batch("UPDATE app.issue SET project_id = NULL; DELETE FROM app.agent").await.unwrap();
}

#[tokio::test]
async fn an_application_role_needs_no_right_on_what_capture_writes() {
    let (db, mut session) = complete().await;
    let role = format!("mover_{}", db.name());
    session.batch(&format!("CREATE ROLE {role}; GRANT USAGE ON SCHEMA app TO {role}; GRANT SELECT, UPDATE, DELETE ON app.issue, app.agent, app.task TO {role}")).await.unwrap();
    for change in ["UPDATE app.issue SET project_id = NULL", "DELETE FROM app.agent"] {
        let wrapped = format!(
            "SET ROLE {role}; SET search_path = pg_temp, app; {change}; RESET ROLE; RESET search_path"
        );
        session.batch(&wrapped).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        drained(&mut session).await;
    }
    session.batch(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}
