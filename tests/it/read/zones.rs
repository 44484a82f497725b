//! `rollup read` against a naive oracle: raw events grouped by what clocks showed.

use highwater::db::{Executor, Session};
use highwater::rollup::render::read::{Reading, Tenants, read as render};
use highwater::rollup::{RollupName, install, measure};

use super::field;
use crate::support::TestDb;

/// Days around which clocks were moved somewhere: Europe, America, Australia with its half hour on Lord Howe, New
/// Zealand with Chatham, the Middle East at midnight, and St. John's, which once moved its clocks a minute past it.
const WINDOWS: &str = "
    (VALUES ('2024-03-09 09:10+00'::timestamptz, '2024-03-11 18:40+00'::timestamptz), ('2024-03-30 09:10+00', '2024-04-01 18:40+00'),
            ('2024-04-05 22:10+00', '2024-04-07 18:40+00'), ('2024-04-25 12:10+00', '2024-04-27 06:40+00'), ('2024-09-28 00:10+00', '2024-09-30 18:40+00'),
            ('2024-10-05 00:10+00', '2024-10-07 18:40+00'), ('2024-10-26 00:10+00', '2024-10-28 18:40+00'), ('2024-11-02 12:10+00', '2024-11-04 18:40+00'),
            ('2010-03-13 12:10+00', '2010-03-15 18:40+00'), ('2010-11-06 12:10+00', '2010-11-08 18:40+00')
    ) AS span (from_at, to_at)";

/// An event every 17 minutes in each window, and a rollup of each grain over them, filled.
async fn world() -> TestDb {
    let db = field::migrated().await;
    let session = db.session().await;
    session
        .batch(&format!(
            "CREATE SCHEMA app;
             CREATE TABLE app.event (id bigserial PRIMARY KEY, tenant text, at timestamptz, key text, amount bigint);
             CREATE INDEX event_tenant_at ON app.event (tenant, at); CREATE INDEX event_at ON app.event (at);
             INSERT INTO app.event (tenant, at, key, amount)
             SELECT 't' || extract(epoch FROM tick)::bigint % 2, tick, 'k', extract(epoch FROM tick)::bigint % 1009
               FROM {WINDOWS} CROSS JOIN generate_series(from_at, to_at, '17 minutes') AS tick;
             -- in the minute of the next day from which St. John's went back to the day before
             INSERT INTO app.event (tenant, at, key, amount) VALUES ('t0', '2010-11-07 02:30:30+00', 'k', 5000);
             ANALYZE app.event"
        ))
        .await
        .unwrap();
    for grain in GRAINS {
        let name = format!("event_{grain}");
        let definition =
            field::DEFINITION.replace("event_hourly", &name).replace("'1h'", &format!("'{grain}'"));
        field::add(&db, &format!("{definition}[combine]\namount = 'sum'\nevents = 'sum'\npeak = 'max'\n"))
            .await;
        session.batch(&field::FILL.replace("event_hourly", &name)).await.unwrap();
    }
    db
}

const GRAINS: [&str; 4] = ["15m", "30m", "1h", "1d"];

/// Makes the read of one rollup a function, so that all zones are one statement.
async fn make_function(session: &mut Session, grain: &str, is_clean: bool, by_index: bool) {
    let name: RollupName = format!("event_{grain}").parse().unwrap();
    let shape = install::load(session, &name).await.unwrap();
    let measures = measure::all(&shape);
    let by = ["tenant".to_owned()];
    let reading =
        Reading { by: &by, measures: &measures, is_single: false, tenants: Tenants::All, is_clean, by_index };
    let text = render(&shape, &reading);
    session
        .batch(&format!(
            "CREATE OR REPLACE FUNCTION app.read(timestamptz, timestamptz, text, text)
             RETURNS TABLE (local_start timestamp, tenant text, amount numeric, events numeric, peak bigint)
             LANGUAGE sql STABLE SET jit = off SET TimeZone = 'America/St_Johns' AS $read$ {text} $read$"
        ))
        .await
        .unwrap();
}

/// Zones whose clocks show the same throughout a window are one case of it.
async fn make_cases(session: &Session) {
    session
        .batch(&format!(
            "CREATE TABLE app.zone_case AS
             WITH clock AS (
               SELECT zone.name, span.from_at, span.to_at, sum(hashtextextended((tick AT TIME ZONE zone.name)::text, 0)) AS shows
                 FROM {WINDOWS}
                CROSS JOIN generate_series(from_at - interval '1 day', to_at + interval '1 day', '10 minutes') AS tick
                CROSS JOIN pg_timezone_names AS zone GROUP BY 1, 2, 3
             )
             SELECT min(name) AS name, from_at, to_at FROM clock GROUP BY from_at, to_at, shows"
        ))
        .await
        .unwrap();
}

/// Reads that differ from the naive truth, each with its first wrong row.
const DIFFERENT: &str = "
SELECT format('%s by %s from %s: %s', zone_case.name, step, zone_case.from_at, wrong.first) AS text
  FROM app.zone_case CROSS JOIN unnest(ARRAY['hour', 'day', 'week', 'month']) AS step
 CROSS JOIN LATERAL (
   SELECT min(each.row) AS first FROM (
     WITH truth AS (
       SELECT date_trunc(step, e.at AT TIME ZONE zone_case.name) AS local_start, e.tenant, sum(e.amount) AS amount,
              count(*)::numeric AS events, max(e.amount) AS peak
         FROM app.event AS e WHERE e.at >= zone_case.from_at AND e.at < zone_case.to_at GROUP BY 1, 2
     ), said AS MATERIALIZED (
       SELECT r.* FROM app.read(zone_case.from_at, zone_case.to_at, zone_case.name, step) AS r
     )
     (SELECT 'missing ' || t::text FROM truth AS t EXCEPT ALL SELECT 'missing ' || s::text FROM said AS s)
     UNION ALL
     (SELECT 'surplus ' || s::text FROM said AS s EXCEPT ALL SELECT 'surplus ' || t::text FROM truth AS t)
   ) AS each (row)) AS wrong
 WHERE wrong.first IS NOT NULL ORDER BY 1";

#[tokio::test]
async fn every_zone_reads_what_its_clocks_showed() {
    let db = world().await;
    let mut session = db.session().await;
    make_cases(&session).await;
    let cases =
        "SELECT (SELECT count(*) FROM pg_timezone_names), (SELECT count(DISTINCT name) FROM app.zone_case)";
    let row = session.query_one(cases, &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) > 400 && row.get::<_, i64>(1) > 40, "a full tz database: {row:?}");
    for (grain, is_clean, by_index) in
        [("15m", true, true), ("30m", true, false), ("1h", false, true), ("1d", false, false)]
    {
        make_function(&mut session, grain, is_clean, by_index).await;
        assert_none_differs(&session, DIFFERENT, grain).await;
    }
}

#[tokio::test]
async fn every_zone_reads_the_same_by_the_sql_function() {
    let db = world().await;
    let session = db.session().await;
    make_cases(&session).await;
    for grain in GRAINS {
        let call = format!(
            "(SELECT f.local_start, f.tenant, f.amount, f.events, f.peak FROM highwater.\"event_{grain}_read\"(
               zone_case.from_at, zone_case.to_at, zone_case.name, step, ARRAY['tenant']) AS f)"
        );
        let different = DIFFERENT
            .replace("app.read(zone_case.from_at, zone_case.to_at, zone_case.name, step)", &call)
            // a third of them by each grain: that the statement is right, the other test shows
            .replace("wrong.first IS NOT NULL", "wrong.first IS NOT NULL AND length(zone_case.name) % 3 = 0");
        assert_none_differs(&session, &different, grain).await;
    }
}

async fn assert_none_differs(session: &Session, statement: &str, grain: &str) {
    let rows = session.query(statement, &[]).await.unwrap();
    let different: Vec<&str> = rows.iter().map(|row| row.get("text")).collect();
    assert!(different.is_empty(), "{grain}: {} differ, such as {:?}", rows.len(), different.first());
}
