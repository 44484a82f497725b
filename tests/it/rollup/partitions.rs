//! Partitions that come and go: no trigger fires, the next drain finds out, and `status` tells until then.

use highwater::db::{Executor, Session};
use highwater::rollup::backfill::Options;

use super::field::{self, DEFINITION, ROWS, TRUTH};
use crate::support::TestDb;
use crate::support::program::{highwater, spawn};

/// By month, with a partition for the rest, as most people have it.
const SOURCE: &str = "
CREATE SCHEMA app;
CREATE TABLE app.event (id bigserial, tenant text NOT NULL, at timestamptz, key text, note text, amount bigint) PARTITION BY RANGE (at);
CREATE INDEX ON app.event (tenant, at);
CREATE TABLE app.event_old PARTITION OF app.event FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00+00');
CREATE TABLE app.event_01 PARTITION OF app.event FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2024-02-01 00:00+00');
CREATE TABLE app.event_02 PARTITION OF app.event FOR VALUES FROM ('2024-02-01 00:00+00') TO ('2024-03-01 00:00+00') PARTITION BY LIST (tenant);
CREATE TABLE app.event_02_rest PARTITION OF app.event_02 DEFAULT;
INSERT INTO app.event (tenant, at, key, amount) SELECT 't' || n % 3, timestamptz '2023-12-20 00:00+00' + n * interval '3 hours', 'k', n FROM generate_series(1, 500) AS n;";

const PIECE: &str = "CREATE TABLE app.piece (LIKE app.event INCLUDING ALL);
INSERT INTO app.piece (tenant, at, key, amount) SELECT 'p', timestamptz '2024-06-01 00:00+00' + n * interval '5 hours', 'k', n FROM generate_series(0, 99) AS n;";

async fn complete() -> (TestDb, Session) {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    field::add(&mut session, DEFINITION).await.unwrap();
    field::backfill(&db, &Options::default()).await.unwrap();
    field::assert_exact(&mut session).await;
    (db, session)
}

/// `status` tells that something moved, and the next drain makes up for it, with little more than it touches.
async fn follows(db: &TestDb, session: &mut Session, change: &str, named: &str) {
    session.batch(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
    assert!(!field::differences(session, ROWS, TRUTH).await.is_empty(), "changes nothing: {change}");
    let status = highwater(db, &["status"]).await;
    assert_ne!(status.code(), 0, "{change}: {status:?}");
    assert!(status.stdout.contains(named), "{change}: {status:?}");
    highwater(db, &["rollup", "drain", "event_hourly"]).await.success();
    highwater(db, &["backfill", "event_hourly"]).await.success();
    field::assert_exact(session).await;
    field::assert_same(session, &ROWS.replace("event_hourly", "event_hourly_live"), TRUTH).await;
    let status = highwater(db, &["status"]).await;
    assert_eq!(status.code(), 0, "{change}: {status:?}");
}

#[tokio::test]
async fn partitions_that_are_attached_detached_and_dropped_are_followed() {
    let (db, mut session) = complete().await;
    let months = "FOR VALUES FROM ('2024-06-01 00:00+00') TO ('2024-08-01 00:00+00')";
    follows(
        &db,
        &mut session,
        &format!("{PIECE} ALTER TABLE app.event ATTACH PARTITION app.piece {months}"),
        "app.piece",
    )
    .await;
    // It is captured from now on, statement by statement.
    session.batch("INSERT INTO app.piece (tenant, at, amount) VALUES ('p', '2024-07-07', 1)").await.unwrap();
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await, 1);
    field::assert_exact(&mut session).await;
    follows(&db, &mut session, "ALTER TABLE app.event DETACH PARTITION app.piece", "app.piece came or went")
        .await;
    // What is written to it meanwhile counts when it comes back.
    session
        .batch("UPDATE app.piece SET amount = amount + 1; DELETE FROM app.piece WHERE amount % 2 = 0")
        .await
        .unwrap();
    field::assert_exact(&mut session).await;
    follows(
        &db,
        &mut session,
        &format!("ALTER TABLE app.event ATTACH PARTITION app.piece {months}"),
        "app.piece",
    )
    .await;
    follows(&db, &mut session, "DROP TABLE app.event_01", "app.event_01 came or went").await;
    // Another table under the name of one that went, and a partition below a partition.
    let again = "DROP TABLE app.piece; CREATE TABLE app.piece (LIKE app.event INCLUDING ALL);
         INSERT INTO app.piece (tenant, at, amount) VALUES ('q', '2024-02-02', 1);
         ALTER TABLE app.event_02 ATTACH PARTITION app.piece FOR VALUES IN ('q')";
    follows(&db, &mut session, again, "app.piece").await;
    follows(&db, &mut session, "ALTER TABLE app.event DETACH PARTITION app.event_02", "app.event_02").await;
    let empty = "CREATE TABLE app.event_09 PARTITION OF app.event FOR VALUES FROM ('2024-09-01 00:00+00') TO ('2024-10-01 00:00+00')";
    follows(
        &db,
        &mut session,
        &format!("{empty}; INSERT INTO app.event_09 (tenant, at, amount) VALUES ('r', '2024-09-09', 1)"),
        "app.event_09",
    )
    .await;
}

#[tokio::test]
async fn only_the_months_that_a_partition_can_touch_are_marked() {
    let (_db, session) = complete().await;
    session.batch("DROP TABLE app.event_01").await.unwrap();
    let range = "SELECT (lo AT TIME ZONE 'UTC')::date || ' to ' || (hi AT TIME ZONE 'UTC')::date FROM highwater.moved_relations('event_hourly')";
    let range = field::text(&session, range).await;
    assert_eq!(range.as_deref(), Some("2023-12-31 to 2024-02-03"));
}

#[tokio::test]
async fn a_worker_follows_by_itself() {
    let (db, session) = complete().await;
    session
        .batch(&format!(
            "{PIECE} ALTER TABLE app.event ATTACH PARTITION app.piece FOR VALUES FROM ('2024-06-01 00:00+00') TO ('2024-08-01 00:00+00'); DROP TABLE app.event_01"
        ))
        .await
        .unwrap();
    let worker = spawn(&db, &["worker", "--listen", "127.0.0.1:0"]);
    let exact =
        format!("SELECT NOT EXISTS ({ROWS} EXCEPT ALL {TRUTH}) AND NOT EXISTS (({TRUTH}) EXCEPT ALL {ROWS})");
    field::until(&session, "the worker has followed the partitions", &exact).await;
    drop(worker);
}

#[tokio::test]
async fn a_source_that_is_fed_by_a_subscription_is_a_warning() {
    let db = field::complete().await;
    let session = db.session().await;
    // A subscription that never connects, as a restored one is.
    let name = format!("sub_{}", db.name());
    session
        .batch(&format!("CREATE SUBSCRIPTION {name} CONNECTION 'host=/nowhere dbname=none' PUBLICATION none WITH (connect = false);"))
        .await
        .unwrap();
    session
        .batch("INSERT INTO pg_subscription_rel SELECT oid, 'app.event'::regclass, 'r', NULL FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())")
        .await
        .unwrap();
    let status = highwater(&db, &["status"]).await;
    assert_eq!(status.code(), 1, "{status:?}");
    assert!(
        status.stdout.contains("app.event is fed by a subscription") && status.stdout.contains("rollup mark"),
        "{status:?}"
    );
    session
        .batch(&format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE); DROP SUBSCRIPTION {name}"))
        .await
        .unwrap();
    assert_eq!(highwater(&db, &["status"]).await.code(), 0);
}
