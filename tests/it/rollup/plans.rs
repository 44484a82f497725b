//! How the hot statements reach their rows: a drain and an expansion read the source by index, however long its history.

use highwater::db::{Executor, Session};
use highwater::rollup::backfill::Options;

use super::field::{self, DEFINITION};

/// Reads of the whole source, and by index, since the server counts.
async fn scans(session: &Session, table: &str) -> (i64, i64) {
    session.batch("SELECT pg_stat_force_next_flush()").await.unwrap();
    let count = |what: &str| {
        format!("SELECT coalesce({what}, 0) FROM pg_stat_user_tables WHERE relid = '{table}'::regclass")
    };
    (field::number(session, &count("seq_scan")).await, field::number(session, &count("idx_scan")).await)
}

/// Makes a change, then counts how the work that follows reads the source.
async fn is_read_by_index(session: &mut Session, change: &str, rollup: &str, table: &str) {
    session.batch(change).await.unwrap();
    let before = scans(session, table).await;
    field::drain(session, rollup).await;
    let after = scans(session, table).await;
    assert_eq!(after.0, before.0, "the whole source was read after: {change}");
    assert!(after.1 > before.1, "nothing was read after: {change}");
}

#[tokio::test]
async fn a_drain_reads_marked_buckets_by_index() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(field::SOURCE).await.unwrap();
    let seed = "INSERT INTO app.event (tenant, at, key, note, amount)
        SELECT 't' || n % 20, timestamptz '2024-01-01 00:00+00' + n * interval '4 minutes', 'k' || n % 3, 'n', n FROM generate_series(1, 60000) AS n;
        ANALYZE app.event";
    session.batch(seed).await.unwrap();
    field::add(&mut session, DEFINITION).await.unwrap();
    field::backfill(&db, &Options::default()).await.unwrap();
    for change in [
        "UPDATE app.event SET amount = 1 WHERE id = 7",
        "INSERT INTO app.event (tenant, at, amount) SELECT 't' || n % 20, timestamptz '2024-01-01 00:00+00' + n * interval '3 hours', 1 FROM generate_series(1, 1000) AS n",
        "INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2025-01-01', 1)",
        "INSERT INTO highwater.event_hourly_wide (lo, hi) VALUES ('2024-02-02 00:00+00', '2024-02-03 00:00+00')",
    ] {
        is_read_by_index(&mut session, change, "event_hourly", "app.event").await;
    }
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_changed_key_is_expanded_by_index() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(include_str!("../../../examples/task_usage/schema.sql")).await.unwrap();
    let seed = "INSERT INTO app.agent SELECT md5('a' || n)::uuid, md5('w')::uuid, NULL FROM generate_series(1, 50) AS n;
        INSERT INTO app.task SELECT md5('t' || n)::uuid, md5('a' || n % 50 + 1)::uuid, NULL FROM generate_series(1, 10000) AS n;
        INSERT INTO app.task_usage (workspace_id, task_id, provider, model, created_at)
        SELECT md5('w' || n % 9)::uuid, md5('t' || n)::uuid, 'p', 'm', timestamptz '2024-01-01 00:00+00' + n * interval '20 minutes' FROM generate_series(1, 10000) AS n;
        ANALYZE";
    session.batch(seed).await.unwrap();
    field::add(&mut session, include_str!("../../../examples/task_usage/task_usage_hourly.toml"))
        .await
        .unwrap();
    field::backfill_of(&db, "task_usage_hourly", &Options::default()).await.unwrap();
    for change in [
        "UPDATE app.task SET agent_id = md5('a9')::uuid WHERE id = md5('t77')::uuid",
        "UPDATE app.agent SET runtime_id = md5('r')::uuid WHERE id = md5('a4')::uuid",
    ] {
        is_read_by_index(&mut session, change, "task_usage_hourly", "app.task_usage").await;
    }
}

/// A month's work reads its month: the planner drops the target's other partitions, and the source is narrowed by time.
#[tokio::test]
async fn a_read_of_the_live_view_drops_other_months() {
    let db = field::complete().await;
    let session = db.session().await;
    let read = "EXPLAIN SELECT * FROM highwater.event_hourly_live WHERE bucket >= '2024-03-01 00:00+00' AND bucket < '2024-04-01 00:00+00'";
    let plan: Vec<String> = session.query(read, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("event_hourly_2024_03")
            && !plan.contains("event_hourly_2024_02")
            && !plan.contains("event_hourly_2024_04"),
        "{plan}"
    );
}
