//! The live view: equal to GROUP BY at every moment, and narrow where its reader is.

use highwater::db::{Executor, Session};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::field::{self, LIVE, TRUTH, assert_same};
use crate::support::program::highwater;

/// How many histories, and steps in each.
const HISTORIES: usize = 20;
const STEPS: usize = 25;

/// One thing that happens to source or rollup.
fn step() -> impl Strategy<Value = String> {
    let hour = 0..2600i32;
    let tenant = prop_oneof![Just("NULL"), Just("'t1'"), Just("'t2'"), Just("'t3'")];
    let key = prop_oneof![Just("NULL"), Just("'k1'"), Just("''")];
    let at = |hour: i32| format!("timestamptz '2023-12-20 00:20+00' + interval '{hour} hours'");
    let insert = (tenant.clone(), hour.clone(), key).prop_map(move |(tenant, hour, key)| {
        format!("INSERT INTO app.event (tenant, at, key, amount) SELECT {tenant}, {}, {key}, g FROM generate_series(1, 3) g", at(hour))
    });
    let odd = Just(
        "INSERT INTO app.event (tenant, at, amount) VALUES ('t1', NULL, 1), ('t1', 'infinity', 1), (NULL, '-infinity', 1);
         DELETE FROM app.event WHERE at IS NULL OR NOT isfinite(at)"
            .to_owned(),
    );
    let update = (tenant, 0..7i32).prop_map(|(tenant, rest)| {
        format!(
            "UPDATE app.event SET tenant = {tenant}, at = at + interval '90 minutes' WHERE id % 7 = {rest}"
        )
    });
    let delete = (0..9i32).prop_map(|rest| format!("DELETE FROM app.event WHERE id % 9 = {rest}"));
    let width = prop_oneof![Just("NULL"), Just("'13 days 50 minutes'")];
    let fill = (hour, width).prop_map(|(hour, width)| {
        format!(
            "SELECT highwater.event_hourly_fill(slice_start, true, {width}) FROM highwater.rollup_slice
              WHERE rollup = 'event_hourly' AND slice_start = date_trunc('month', timestamptz '2023-12-20' + interval '{hour} hours', 'UTC')"
        )
    });
    let engine = prop_oneof![
        Just("SELECT highwater.event_hourly_census()"),
        Just("SELECT highwater.event_hourly_expand()"),
        Just("SELECT highwater.event_hourly_drain(3)"),
        Just("SELECT highwater.event_hourly_drain(100)"),
        Just("SELECT highwater.event_hourly_window('2024-01-31 20:00+00', '2024-02-01 05:00+00')"),
        Just("UPDATE highwater.rollup_slice SET state = 'pending', rows = rows + 1000 WHERE rollup = 'event_hourly' AND slice_start = '2024-02-01 00:00+00'"),
        Just("INSERT INTO highwater.event_hourly_wide (lo, hi) VALUES ('2024-01-10 05:00+00', '2024-02-03 00:00+00')"),
        Just("TRUNCATE app.event"),
    ]
    .prop_map(str::to_owned);
    prop_oneof![4 => insert, 1 => odd, 2 => update, 2 => delete, 2 => fill, 5 => engine]
}

/// Runs one history; between any two steps, and before its transaction ends, the view is right.
async fn live_through(session: &mut Session, history: &[(String, bool, bool)]) {
    for (number, (step, in_transaction, is_kept)) in history.iter().enumerate() {
        let when = format!("after step {number} of {history:#?}");
        if *in_transaction {
            let tx = session.begin().await.unwrap();
            tx.batch(step).await.unwrap();
            assert_same(&tx, LIVE, TRUTH, &when).await;
            if *is_kept { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
        } else {
            session.batch(step).await.unwrap();
        }
        assert_same(session, LIVE, TRUTH, &when).await;
    }
}

#[tokio::test]
async fn the_live_view_equals_group_by_at_every_point_of_a_random_history() {
    let mut runner = TestRunner::new(Config::default());
    let histories = proptest::collection::vec((step(), any::<bool>(), any::<bool>()), STEPS);
    for _ in 0..HISTORIES {
        let history = histories.new_tree(&mut runner).unwrap().current();
        let db = field::installed().await;
        live_through(&mut db.session().await, &history).await;
    }
}

#[tokio::test]
async fn a_truncate_and_what_follows_it_are_seen_at_once() {
    let db = field::complete().await;
    let session = db.session().await;
    for step in [
        "TRUNCATE app.event",
        "INSERT INTO app.event (tenant, at, amount) VALUES ('t9', '2024-02-29 12:00+00', 7), ('t9', '2031-01-01 12:00+00', 7)",
        "SELECT highwater.event_hourly_expand()",
        "INSERT INTO app.event (tenant, at, amount) VALUES ('t9', '2031-01-01 13:00+00', 7)",
    ] {
        session.batch(step).await.unwrap();
        assert_same(&session, LIVE, TRUTH, step).await;
    }
}

#[tokio::test]
async fn a_clean_read_of_one_week_touches_one_partition_and_no_source() {
    let db = field::complete().await;
    let session = db.session().await;
    let week = format!(
        "{LIVE} WHERE tenant = 't1' AND bucket >= '2024-02-05 00:00+00' AND bucket < '2024-02-12 00:00+00'"
    );
    let plan = field::plan(&session, &week).await;
    assert!(plan.contains("event_hourly_2024_02"), "{plan}");
    assert!(!plan.contains("event_hourly_2024_01") && !plan.contains("event_hourly_2024_03"), "{plan}");
    let source = plan.lines().filter(|line| line.contains(" on event s")).collect::<Vec<&str>>();
    assert!(!source.is_empty() && source.iter().all(|line| line.contains("never executed")), "{plan}");
}

#[tokio::test]
async fn a_reader_of_one_tenant_computes_that_tenants_marks_only() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch("INSERT INTO app.event (tenant, at, amount) SELECT 't' || n, timestamptz '2024-02-06 00:00+00' + n * interval '1 hour', n FROM generate_series(1, 40) AS n").await.unwrap();
    session.batch("ANALYZE app.event; SET enable_seqscan = off").await.unwrap();
    let read = format!(
        "{LIVE} WHERE tenant = 't7' AND bucket >= '2024-02-01 00:00+00' AND bucket < '2024-03-01 00:00+00'"
    );
    let plan = field::plan(&session, &read).await;
    assert!(plan.contains("event_tenant_at"), "{plan}");
    let looked_up: Vec<&str> = plan
        .lines()
        .filter(|line| line.contains(" on event s") && !line.contains("never executed"))
        .collect();
    assert!(looked_up.len() == 1 && looked_up[0].contains("loops=1"), "{plan}");
}

#[tokio::test]
async fn the_view_holds_on_to_the_columns_it_reads_and_to_no_other() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch("ALTER TABLE app.event DROP COLUMN note, ALTER COLUMN id TYPE numeric").await.unwrap();
    let refused = session.batch("ALTER TABLE app.event DROP COLUMN amount").await.unwrap_err().to_string();
    assert!(refused.contains("event_hourly_live"), "{refused}");
    session.batch("ALTER TABLE app.event RENAME COLUMN amount TO worth").await.unwrap();
    assert_same(&session, LIVE, &TRUTH.replace("amount", "worth"), "after a rename").await;
}

#[tokio::test]
async fn a_role_needs_rights_on_the_view_only() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let role = format!("reader_{}", db.name());
    session.batch(&format!("CREATE ROLE {role}; GRANT USAGE ON SCHEMA highwater TO {role}; GRANT SELECT ON highwater.event_hourly_live TO {role}; INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2024-02-02', 1)")).await.unwrap();
    let tx = session.begin().await.unwrap();
    tx.batch(&format!("SET LOCAL ROLE {role}")).await.unwrap();
    let row = tx.query_one("SELECT sum(events)::bigint FROM highwater.event_hourly_live", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 191);
    tx.rollback().await.unwrap();
    session.batch(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn adding_again_renews_the_view_and_dropping_removes_it() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch("DROP VIEW highwater.event_hourly_live, highwater.event_hourly_open").await.unwrap();
    field::add(&db, field::DEFINITION).await;
    assert_same(&session, LIVE, TRUTH, "after a renewal").await;
    highwater(&db, &["rollup", "drop", "event_hourly", "--yes"]).await.success();
    let left = session
        .query_one("SELECT count(*) FROM pg_class WHERE relname LIKE 'event\\_hourly%'", &[])
        .await
        .unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
}
