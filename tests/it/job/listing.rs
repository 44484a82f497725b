//! Lists read a page's rows and an index path, whatever the history.

use chrono::{DateTime, Utc};
use highwater::db::Executor;
use highwater::job::backup::{self, Filter};
use highwater::job::cursor::Cursor;
use highwater::job::state::JobState;

use super::site::site;
use crate::rollup::field;
use crate::support::scale::scaled;

/// Rows of a page.
const PAGE: i32 = 40;

/// Far more than a page of rows with their names and twelve descents of an index, far less than a history.
const MOST_BUFFERS: i64 = 900;

#[tokio::test]
async fn a_page_of_jobs_reads_an_index_path_whatever_the_history() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let mine = site(&mut session, "acme", "laptop").await;
    site(&mut session, "umbrella", "server").await;
    let history = scaled(30_000, 10_000_000);
    // Two hosts of two tenants in turn; nearly all succeeded, and a few at the far end of the history failed.
    let fill = format!(
        "ALTER TABLE highwater.backup_job DISABLE TRIGGER USER;
         INSERT INTO highwater.backup_job (tenant, host, source_group, repository, state, slot_at, opened_at, finished_at, ended_by)
         SELECT host.tenant, host.id, source_group.id, source_group.repository, CASE WHEN n <= 100 THEN 'failed' ELSE 'succeeded' END,
                at, at, at + interval '1 minute', ARRAY[8, 0, 0, -n]
           FROM generate_series(1, {history}) AS n
           JOIN (SELECT host.*, row_number() OVER (ORDER BY host.name) - 1 AS place FROM highwater.host AS host) AS host ON host.place = n % 2
           JOIN highwater.source_group AS source_group ON source_group.host = host.id
          CROSS JOIN LATERAL (SELECT timestamptz '2020-01-01 00:00+00' + n * interval '20 seconds' AS at) AS times;
         ALTER TABLE highwater.backup_job ENABLE TRIGGER USER;
         VACUUM ANALYZE highwater.backup_job"
    );
    for statement in fill.split(";\n") {
        session.batch(statement).await.unwrap();
    }
    let states: String =
        JobState::ALL.iter().map(|state| format!("'{state}'")).collect::<Vec<_>>().join(", ");
    let all = format!("ARRAY[{states}]::text[]");
    let limit = (PAGE + 1).to_string();
    let middle = format!("(timestamptz '2020-01-01 00:00+00' + {} * interval '20 seconds')", history / 2);
    let tenant = "(SELECT tenant FROM highwater.host WHERE name = 'laptop')".to_owned();
    let host = format!("'{}'::uuid", mine.host);
    for (text, values) in [
        (include_str!("../../../sql/job/jobs.sql"), vec![&all, "NULL", "NULL", "NULL", &limit]),
        (include_str!("../../../sql/job/jobs.sql"), vec!["ARRAY['failed']", "NULL", &middle, "NULL", &limit]),
        (
            include_str!("../../../sql/job/jobs_of_tenant.sql"),
            vec![&all, "NULL", &middle, "NULL", &limit, &tenant],
        ),
        (
            include_str!("../../../sql/job/jobs_of_host.sql"),
            vec![&all, &middle, "NULL", "NULL", &limit, &host],
        ),
    ] {
        let mut statement = text.to_owned();
        for (place, value) in values.iter().enumerate().rev() {
            statement = statement.replace(&format!("${}", place + 1), value);
        }
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}");
        let plan: serde_json::Value = session.query_one(&explain, &[]).await.unwrap().get(0);
        let top = &plan[0]["Plan"];
        let read = top["Shared Hit Blocks"].as_i64().unwrap() + top["Shared Read Blocks"].as_i64().unwrap();
        assert!(read < MOST_BUFFERS, "{read} buffers: {plan:#}\n{statement}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let mine = site(&mut session, "acme", "laptop").await;
    // Many jobs of one moment, in three states, so that only the id tells them apart.
    let fill = format!(
        "INSERT INTO highwater.backup_job (tenant, host, state, opened_at)
         SELECT tenant, id, (ARRAY['queued', 'dispatched', 'running'])[n % 3 + 1], timestamptz '2026-03-05 00:00+00' + n / 10 * interval '1 hour'
           FROM highwater.host, generate_series(1, 95) AS n WHERE id = '{}'",
        mine.host
    );
    session.batch(&fill).await.unwrap();
    let mut filter = Filter { host: Some(mine.host), ..Default::default() };
    let mut seen: Vec<Cursor> = Vec::new();
    loop {
        let page = backup::list(&session, &filter, 7).await.unwrap();
        seen.extend(page.rows.iter().map(|job| Cursor { at: job.opened_at, id: job.id.0 }));
        let Some(next) = page.next_cursor else { break };
        filter.after = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen.len(), 95);
    assert!(seen.is_sorted_by(|one, next| (one.at, one.id) > (next.at, next.id)), "{seen:?}");
    let since: DateTime<Utc> = "2026-03-05T09:00:00Z".parse().unwrap();
    let young = Filter { since: Some(since), state: Some(JobState::Running), ..Default::default() };
    assert_eq!(backup::list(&session, &young, 100).await.unwrap().rows.len(), 2);
}
