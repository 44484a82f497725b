//! The census finds the months that have rows, whichever way it takes.

use highwater::db::{Executor, Session};

use crate::support::{TestDb, program};

/// Two tenants with a thousand rows and more each, so that jumping pays: months of both, of one, gaps, the last instant
/// of a month and its first, both ends of the calendar, and times that lie in no month.
const EVENTS: &str = "
INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model)
SELECT 'a' || i, 'ann', timestamptz '2024-11-03 00:00:00+00' + i * interval '1 hour', 'r', 'a', 'p', 'm'
  FROM generate_series(1, 2500) AS i
UNION ALL
SELECT 'b' || i, 'bob', timestamptz '2021-05-31 23:59:59.999999+00', 'r', 'a', 'p', 'm' FROM generate_series(1, 1500) AS i
UNION ALL
SELECT odd.at, odd.tenant, odd.at::timestamptz, 'r', 'a', 'p', 'm'
  FROM (VALUES ('ann', '2022-02-01 00:00:00+00'), ('bob', '0001-01-01 00:00:00+00'), ('ann', '9999-12-31 23:59:59+00'),
               ('bob', 'infinity'), ('ann', '-infinity'), ('bob', '10000-01-01 00:00:00+00')) AS odd (tenant, at);
ANALYZE highwater.usage_event";

/// Months and whether their rows were counted, after a census of everything that begins with an empty ledger.
async fn census(session: &Session) -> Vec<(String, bool)> {
    session
        .batch("DELETE FROM highwater.rollup_slice; SELECT highwater.usage_hourly_census()")
        .await
        .unwrap();
    let months = "SELECT to_char(slice_start AT TIME ZONE 'UTC', 'YYYY-MM') AS month, source_rows IS NOT NULL AS counted \
                    FROM highwater.rollup_slice ORDER BY slice_start";
    let rows = session.query(months, &[]).await.unwrap();
    rows.iter().map(|row| (row.get("month"), row.get("counted"))).collect()
}

#[tokio::test]
async fn jumping_from_tenant_to_tenant_finds_the_months_that_a_scan_finds() {
    let db = TestDb::empty().await;
    program::highwater(&db, &["migrate", "up"]).await.success();
    let session = db.session().await;
    session.batch(EVENTS).await.unwrap();
    let jumped = census(&session).await;
    session.batch("DROP INDEX highwater.usage_event_tenant_occurred_at").await.unwrap();
    let scanned = census(&session).await;
    let months =
        |found: &[(String, bool)]| -> Vec<String> { found.iter().map(|(month, _)| month.clone()).collect() };
    let expected = ["0001-01", "2021-05", "2022-02", "2024-11", "2024-12", "2025-01", "2025-02", "9999-12"];
    assert_eq!(months(&jumped), expected);
    assert_eq!(months(&scanned), expected);
    assert!(jumped.iter().all(|(_, is_counted)| !is_counted), "a scan was taken: {jumped:?}");
    assert!(scanned.iter().all(|(_, is_counted)| *is_counted), "{scanned:?}");
}
