//! What the tests of reading share: a source with odd tenants and times, its rollup, and the naive truth beside it.

use highwater::db::{Executor, Session};
use highwater::ground::shutdown;
use highwater::migrate::setup::Setup;
use highwater::migrate::up::{self, Options};
use highwater::migrate::{Pooler, Wait, event};
use highwater::rollup::definition::Definition;
use highwater::rollup::install;

use crate::support::TestDb;

/// Three months of events of three tenants, one of whom has no name; `note` is counted by nobody.
pub const SOURCE: &str = "
CREATE SCHEMA app;
CREATE TABLE app.event (id bigserial PRIMARY KEY, tenant text, at timestamptz, key text, amount bigint, note text);
CREATE INDEX event_tenant_at ON app.event (tenant, at);
INSERT INTO app.event (tenant, at, key, amount)
SELECT CASE n % 3 WHEN 0 THEN NULL ELSE 't' || n % 3 END,
       timestamptz '2024-01-01 00:00+00' + n * interval '11 hours 7 minutes',
       CASE n % 4 WHEN 0 THEN NULL ELSE 'k' || n % 4 END, n
  FROM generate_series(1, 190) AS n;";

/// Its rollup; `peak` is no sum, and no delta could keep it.
pub const DEFINITION: &str = "
name = 'event_hourly'
source = 'app.event'
time = 'at'
tenant = 'tenant'
grain = '1h'
key = ['key']
query = '''
SELECT source.tenant, source.bucket, source.key, sum(source.amount) AS amount, count(*) AS events,
       max(source.amount) AS peak
  FROM source
 GROUP BY source.tenant, source.bucket, source.key
'''
";

/// The live view, and the same by Postgres alone.
pub const LIVE: &str = "SELECT tenant, bucket, key, amount, events, peak FROM highwater.event_hourly_live";
pub const TRUTH: &str = "
SELECT tenant, date_trunc('hour', at, 'UTC') AS bucket, key, sum(amount), count(*), max(amount) FROM app.event
 GROUP BY 1, 2, 3";

/// A database with highwater's own migrations and nothing else.
pub async fn migrated() -> TestDb {
    let db = TestDb::empty().await;
    let options = Options { to: None, wait: Wait::No, pooler: Pooler::None };
    let (_trigger, shutdown) = shutdown::channel();
    up::up(&Setup::new(&db.target()), options, &shutdown, &event::Silent).await.unwrap();
    db
}

/// [`SOURCE`] with its rollup installed; nothing is backfilled.
pub async fn installed() -> TestDb {
    let db = migrated().await;
    db.session().await.batch(SOURCE).await.unwrap();
    add(&db, DEFINITION).await;
    db
}

/// Installs a definition as `rollup add` does.
pub async fn add(db: &TestDb, definition: &str) {
    let definition = Definition::parse(definition, "test.toml").unwrap();
    install::install_now(&mut db.session().await, &definition).await.unwrap();
}

/// [`installed`], and every month filled.
pub async fn complete() -> TestDb {
    let db = installed().await;
    let session = db.session().await;
    session.batch(FILL).await.unwrap();
    db
}

/// Census and fills by hand, so that a test may stop between any two.
pub const FILL: &str = "
SELECT highwater.event_hourly_census();
SELECT highwater.event_hourly_fill(slice_start) FROM highwater.rollup_slice WHERE rollup = 'event_hourly' ORDER BY 1";

/// Asserts that two queries return the same rows, whatever their order.
pub async fn assert_same(db: &impl Executor, left: &str, right: &str, when: &str) {
    let difference = format!(
        "SELECT count(*), min(row) FROM (
           (SELECT '+' || l::text FROM ({left}) AS l EXCEPT ALL SELECT '+' || r::text FROM ({right}) AS r)
           UNION ALL
           (SELECT '-' || r::text FROM ({right}) AS r EXCEPT ALL SELECT '-' || l::text FROM ({left}) AS l)
         ) AS different (row)"
    );
    let row = db.query_one(&difference, &[]).await.unwrap();
    let count: i64 = row.get(0);
    assert_eq!(count, 0, "{when}: {count} rows differ, such as {:?}", row.get::<_, Option<String>>(1));
}

/// The plan of a statement, as text.
pub async fn plan(session: &Session, statement: &str) -> String {
    let rows =
        session.query(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}"), &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<String>>().join("\n")
}
