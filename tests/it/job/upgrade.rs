//! An upgrade of a database with history backfills and proves usage and backup jobs in one run, and needs no further step.

use highwater::db::Executor;
use highwater::ground::shutdown;
use highwater::migrate::setup::Setup;
use highwater::migrate::up::{self, Options};
use highwater::migrate::{Pooler, Wait, event};

use super::site::count;
use crate::rollup::field;
use crate::support::TestDb;
use crate::support::program::highwater;
use crate::support::scale::scaled;

async fn up_to(db: &TestDb, version: i64) {
    let options = Options { to: Some(version), wait: Wait::No, pooler: Pooler::None };
    let (_trigger, shutdown) = shutdown::channel();
    up::up(&Setup::new(&db.target()), options, &shutdown, &event::Silent).await.unwrap();
}

/// Two years of what is counted, without marks: as if it had been there before anybody counted.
fn history(rows: usize) -> String {
    format!(
        "ALTER TABLE highwater.usage_event DISABLE TRIGGER USER;
         INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model, input_tokens)
         SELECT 'e' || n, 't' || n % 3, timestamptz '2024-01-05 00:00+00' + n * interval '2 years' / {rows}, 'r', 'a' || n % 5, 'p', 'm', n
           FROM generate_series(1, {rows}) AS n;
         ALTER TABLE highwater.usage_event ENABLE TRIGGER USER;
         DELETE FROM highwater.rollup_slice; UPDATE highwater.rollup SET census_at = NULL, watermark_at = NULL"
    )
}

const USAGE: &str = "SELECT count(*) FROM (SELECT tenant, date_trunc('hour', occurred_at, 'UTC'), agent FROM highwater.usage_event GROUP BY 1, 2, 3) AS truth";
const JOBS: &str = "SELECT count(*) FROM (SELECT tenant, date_trunc('hour', counted_at, 'UTC'), host, state FROM highwater.backup_job GROUP BY 1, 2, 3, 4) AS truth";

#[tokio::test]
async fn one_run_fills_and_proves_usage_and_backup_jobs() {
    let db = TestDb::empty().await;
    up_to(&db, 5).await;
    let session = db.session().await;
    let rows = scaled(2_000, 1_000_000);
    session.batch(&history(rows)).await.unwrap();
    // From the schema before backups: its rollups come empty, that of usage is filled.
    let ended = highwater(&db, &["migrate", "up"]).await.success();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        said.contains("usage_hourly")
            && said.contains("backup_job_hourly")
            && said.contains("equal their source"),
        "{said}"
    );
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.usage_hourly").await,
        count(&session, USAGE).await
    );
    highwater(&db, &["rollup", "verify", "usage_hourly"]).await.success();
}

#[tokio::test]
async fn one_run_fills_and_proves_two_years_of_backup_jobs() {
    let db = TestDb::empty().await;
    up_to(&db, 12).await;
    let session = db.session().await;
    let rows = scaled(2_000, 1_000_000);
    session.batch(&history(rows)).await.unwrap();
    let jobs = format!(
        "INSERT INTO highwater.tenant (name) VALUES ('acme');
         INSERT INTO highwater.host (tenant, name, mode, tz) SELECT id, 'h' || n, 'always_on', 'UTC' FROM highwater.tenant, generate_series(1, 3) AS n;
         ALTER TABLE highwater.backup_job DISABLE TRIGGER USER;
         INSERT INTO highwater.backup_job (tenant, host, state, slot_at, opened_at, finished_at, ended_by)
         SELECT host.tenant, host.id, CASE WHEN n % 7 = 0 THEN 'failed' ELSE 'succeeded' END, at, at, at + interval '20 minutes', ARRAY[8, 0, 0, -n]
           FROM generate_series(1, {rows}) AS n
          CROSS JOIN LATERAL (SELECT timestamptz '2024-01-05 00:00+00' + n * interval '2 years' / {rows} AS at) AS times
           JOIN highwater.host AS host ON host.name = 'h' || n % 3 + 1;
         ALTER TABLE highwater.backup_job ENABLE TRIGGER USER"
    );
    session.batch(&jobs).await.unwrap();
    let ended = highwater(&db, &["migrate", "up"]).await.success();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(said.matches("equal their source").count(), 2, "{said}");
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.usage_hourly").await,
        count(&session, USAGE).await
    );
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.backup_job_hourly").await,
        count(&session, JOBS).await
    );
    assert_eq!(field::verify(&db, "backup_job_hourly").await.drifted, 0);
}
