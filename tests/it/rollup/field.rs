//! What the rollup tests share: a source with eight months of events, its rollup, and the naive truth beside it.

use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use highwater::db::{Executor, Session, connect};
use highwater::ground::shutdown;
use highwater::rollup::definition::Definition;
use highwater::rollup::install::{self, Installed};
use highwater::rollup::watch::{Open, Silent};
use highwater::rollup::{RollupError, RollupName, backfill, drain, verify};

use highwater::db::target::Target;
use highwater::migrate::event;
use highwater::migrate::setup::Setup;
use highwater::migrate::up::{self, Options};
use highwater::migrate::{Pooler, Wait};

use crate::support::TestDb;
use crate::support::database::PROGRAM;
use crate::support::eventually::DEADLINE;

/// Rows of `app.event` that [`seeded`] begins with: eight months of 2024, two hundred rows each.
pub const MONTHS: i64 = 8;

/// The table that most tests count.
pub const SOURCE: &str = "
CREATE SCHEMA app;
CREATE TABLE app.event (id bigserial PRIMARY KEY, tenant text NOT NULL, at timestamptz, key text, note text, amount bigint);
CREATE INDEX event_tenant_at ON app.event (tenant, at);
CREATE INDEX event_at ON app.event (at);";

pub const SEED: &str = "
INSERT INTO app.event (tenant, at, key, note, amount)
SELECT 't' || n % 3, timestamptz '2024-01-01 00:00+00' + month * interval '1 month' + n * interval '3 hours' + month * n * interval '1 minute',
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'k' || n % 4 END, 'note ' || n % 5, n
  FROM generate_series(0, 7) AS month, generate_series(1, 200) AS n;";

/// Its rollup. `count(DISTINCT …)` is there because no delta could keep it.
pub const DEFINITION: &str = "
name = \"event_hourly\"
source = \"app.event\"
time = \"at\"
tenant = \"tenant\"
grain = \"1h\"
key = [\"key\"]
query = '''
SELECT source.tenant, source.bucket, source.key, sum(source.amount)::bigint AS amount, count(*) AS events,
       count(DISTINCT source.note) AS notes
  FROM source
 GROUP BY source.tenant, source.bucket, source.key
'''
";

pub const ROWS: &str = "SELECT tenant, bucket, key, amount, events, notes FROM highwater.event_hourly";

/// The same by Postgres alone.
pub const TRUTH: &str = "
SELECT tenant, date_trunc('hour', at, 'UTC') AS bucket, key, sum(amount)::bigint, count(*), count(DISTINCT note)
  FROM app.event WHERE at >= '0001-01-01 00:00+00' AND at < '10000-01-01 00:00+00' GROUP BY 1, 2, 3";

/// A database with highwater's own migrations.
pub async fn migrated() -> TestDb {
    TestDb::from_template(&format!("migrated-{}", build()), |target| async move { migrate(&target).await })
        .await
}

/// [`SOURCE`] with its history, and the rollup installed over it: eight months to backfill.
pub async fn seeded() -> TestDb {
    TestDb::from_template(&format!("seeded-{}", build()), |target| async move {
        migrate(&target).await;
        let mut session = connect::connect(&target, "test").await.unwrap();
        session.batch(&format!("{SOURCE}{SEED}ANALYZE app.event")).await.unwrap();
        let definition = Definition::parse(DEFINITION, "event_hourly.toml").unwrap();
        install::install_now(&mut session, &definition).await.unwrap();
    })
    .await
}

/// [`seeded`], backfilled.
pub async fn complete() -> TestDb {
    let db = seeded().await;
    backfill(&db, &backfill::Options::default()).await.unwrap();
    db
}

async fn migrate(target: &Target) {
    let options = Options { to: None, wait: Wait::No, pooler: Pooler::None };
    let (_trigger, shutdown) = shutdown::channel();
    up::up(&Setup::new(target), options, &shutdown, &event::Silent).await.unwrap();
}

/// What templates depend on: this build of the program.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let file = std::fs::metadata(PROGRAM).unwrap();
        let since_1970 = file.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
        format!("{}-{}", file.len(), since_1970.as_micros())
    })
}

/// Installs a definition as `rollup add` does.
pub async fn add(session: &mut Session, definition: &str) -> Result<Installed, RollupError> {
    install::install_now(session, &Definition::parse(definition, "test.toml")?).await
}

/// A definition over `source` that sums `amount` by `key`, for sources unlike [`SOURCE`].
pub fn define(name: &str, source: &str, time: &str, tenant: Option<&str>, grain: &str) -> String {
    let (line, column) = match tenant {
        Some(tenant) => (format!("tenant = '{tenant}'\n"), format!("source.\"{tenant}\", ")),
        None => (String::new(), String::new()),
    };
    format!(
        "name = '{name}'\nsource = '{source}'\ntime = '{time}'\n{line}grain = '{grain}'\nkey = ['key']\nquery = '''\n\
         SELECT {column}source.bucket, source.key, sum(source.amount)::bigint AS amount, count(*) AS events\n\
         FROM source GROUP BY {column}source.bucket, source.key\n'''\n"
    )
}

pub async fn backfill(db: &TestDb, options: &backfill::Options) -> Result<backfill::Report, RollupError> {
    backfill_of(db, "event_hourly", options).await
}

pub async fn backfill_of(
    db: &TestDb,
    rollup: &str,
    options: &backfill::Options,
) -> Result<backfill::Report, RollupError> {
    let name = RollupName::parse(rollup).unwrap();
    let (_trigger, shutdown) = shutdown::channel();
    backfill::run(&db.target(), "test", &name, options, &Silent, &Open, &shutdown).await
}

pub async fn drain(session: &mut Session, rollup: &str) -> drain::Report {
    let (_trigger, shutdown) = shutdown::channel();
    let name = RollupName::parse(rollup).unwrap();
    let drained = drain::run(session, &name, &shutdown);
    tokio::time::timeout(DEADLINE, drained).await.expect("a drain ends").unwrap()
}

pub async fn verify(db: &TestDb, rollup: &str) -> verify::Report {
    let (_trigger, shutdown) = shutdown::channel();
    let options = verify::Options { range: Default::default(), sample: None, parallel: 1, repair: false };
    let name = RollupName::parse(rollup).unwrap();
    verify::run(&db.target(), "test", &name, &options, &Silent, &Open, &shutdown).await.unwrap()
}

/// Fails unless two queries return the same rows, as often each.
pub async fn assert_same(session: &impl Executor, ours: &str, truth: &str) {
    let differing = differences(session, ours, truth).await;
    assert!(differing.is_empty(), "{differing:#?}");
}

/// Up to ten rows that only one of two queries returns.
pub async fn differences(session: &impl Executor, ours: &str, truth: &str) -> Vec<String> {
    let compare = format!(
        "WITH ours AS ({ours}), truth AS ({truth})
         SELECT 'surplus ' || d::text FROM (SELECT * FROM ours EXCEPT ALL SELECT * FROM truth) AS d
         UNION ALL
         SELECT 'missing ' || d::text FROM (SELECT * FROM truth EXCEPT ALL SELECT * FROM ours) AS d LIMIT 10"
    );
    session.query(&compare, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Drains, then fails unless `event_hourly` is what its source says.
pub async fn assert_exact(session: &mut Session) {
    drain(session, "event_hourly").await;
    assert_same(session, ROWS, TRUTH).await;
    assert_same(
        session,
        "SELECT slice_start, rows FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND rows > 0",
        "SELECT date_trunc('month', bucket, 'UTC'), count(*) FROM highwater.event_hourly GROUP BY 1",
    )
    .await;
}

/// The number that a query returns.
pub async fn number(session: &impl Executor, query: &str) -> i64 {
    session.query_one(query, &[]).await.unwrap().get(0)
}

/// The yes or no that a query returns.
pub async fn is_true(session: &impl Executor, query: &str) -> bool {
    session.query_one(query, &[]).await.unwrap().get(0)
}

/// The text that a query returns, or NULL.
pub async fn text(session: &impl Executor, query: &str) -> Option<String> {
    session.query_one(query, &[]).await.unwrap().get(0)
}

/// Waits until a query returns true.
pub async fn until(session: &impl Executor, what: &str, query: &str) {
    let begun = std::time::Instant::now();
    while !is_true(session, query).await {
        assert!(begun.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
