//! Measures that add up, that do not, and that are made of others in the end.

use highwater::db::{DbError, Executor, Session};
use serde_json::Value;

use super::field::{self, assert_same};
use crate::support::TestDb;
use crate::support::program::{Output, highwater};

/// Two weeks around the night in which clocks in Berlin go back, with several events in most hours, some without amount.
const SOURCE: &str = "
CREATE SCHEMA app;
CREATE TABLE app.call (id bigserial PRIMARY KEY, tenant text NOT NULL, at timestamptz, route text, caller bigint, ms bigint, spare text);
CREATE INDEX call_tenant_at ON app.call (tenant, at); CREATE INDEX call_at ON app.call (at);
INSERT INTO app.call (tenant, at, route, caller, ms)
SELECT 't' || n % 2, timestamptz '2024-10-20 00:00+00' + n * interval '7 minutes 13 seconds',
       CASE n % 3 WHEN 0 THEN NULL ELSE 'r' || n % 3 END, n * 7919 % 101, CASE n % 11 WHEN 0 THEN NULL ELSE n * 104729 % 1000 END
  FROM generate_series(1, 2700) AS n;";

/// One of each kind.
const DEFINITION: &str = "
name = 'call_hourly'
source = 'app.call'
time = 'at'
tenant = 'tenant'
grain = '1h'
key = ['route']
query = '''
SELECT source.tenant, source.bucket, source.route, sum(source.ms) AS ms, count(source.ms) AS timed, count(*) AS calls,
       min(source.ms) AS least, max(source.ms) AS most, count(DISTINCT source.caller) AS callers,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY source.ms) AS median,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY source.ms)::numeric AS p95
  FROM source
 GROUP BY source.tenant, source.bucket, source.route
'''
[combine]
ms = 'sum'
timed = 'sum'
calls = 'sum'
least = 'min'
most = 'max'
[measure.callers]
additive = false
[measure.median]
additive = false
[measure.p95]
additive = false
[measure.mean]
average = { sum = 'ms', count = 'timed' }
";

/// The source with one rollup, filled.
async fn filled(definition: &str) -> TestDb {
    let db = field::migrated().await;
    let session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    field::add(&db, definition).await;
    session.batch(&field::FILL.replace("event_hourly", "call_hourly")).await.unwrap();
    db
}

/// What Postgres says of raw events, by local periods and, where `by` says so, by the key.
fn truth(zone: &str, step: &str, by: &str, measures: &str) -> String {
    format!(
        "SELECT date_trunc('{step}', at AT TIME ZONE '{zone}') AS local_start, {by}{measures} FROM app.call
          WHERE at >= timestamp '2024-10-22' AT TIME ZONE '{zone}' AND at < timestamp '2024-11-01' AT TIME ZONE '{zone}'
          GROUP BY date_trunc('{step}', at AT TIME ZONE '{zone}'), {by}()"
    )
}

const ADDITIVE: &str = "sum(ms) AS ms, count(ms)::numeric AS timed, count(*)::numeric AS calls, min(ms) AS least, max(ms) AS most, avg(ms) AS mean";
const ALL: &str = "sum(ms) AS ms, count(ms)::numeric AS timed, count(*)::numeric AS calls, min(ms) AS least, max(ms) AS most,
    count(DISTINCT caller) AS callers, percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS median,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY ms)::numeric AS p95, avg(ms) AS mean";

/// The same range by the SQL function.
fn called(zone: &str, step: &str, more: &str, columns: &str) -> String {
    format!(
        "SELECT local_start, {columns} FROM highwater.call_hourly_read(timestamp '2024-10-22' AT TIME ZONE '{zone}',
           timestamp '2024-11-01' AT TIME ZONE '{zone}', '{zone}', '{step}'{more})"
    )
}

/// The same range by the program.
async fn read(db: &TestDb, zone: &str, step: &str, more: &[&str]) -> Output {
    let fixed = ["rollup", "read", "call_hourly", "--from", "2024-10-22", "--to", "2024-11-01"];
    let all: Vec<&str> =
        fixed.into_iter().chain(["--tz", zone, "--step", step]).chain(more.iter().copied()).collect();
    highwater(db, &all).await
}

/// Rows of the program and of a statement are the same, as JSON.
async fn assert_reads(db: &TestDb, zone: &str, step: &str, more: &[&str], wanted: &str) {
    let more: Vec<&str> = more.iter().copied().chain(["--format", "json"]).collect();
    let ended = read(db, zone, step, &more).await.success();
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let statement = format!("SELECT row_to_json(r)::jsonb AS row FROM ({wanted}) AS r ORDER BY 1");
    let rows = db.session().await.query(&statement, &[]).await.unwrap();
    let mut wanted: Vec<Value> = rows.iter().map(|row| row.get("row")).collect();
    let mut found = document["rows"].as_array().unwrap().clone();
    let text = |value: &Value| value.to_string();
    found.sort_by_key(text);
    wanted.sort_by_key(text);
    assert!(!found.is_empty());
    assert_eq!(found, wanted, "{zone} by {step} {more:?}");
}

const MEASURES: [&str; 2] = ["--measure", "ms,timed,calls,least,most,mean"];

#[tokio::test]
async fn a_mean_over_any_period_is_that_of_its_events() {
    let db = filled(DEFINITION).await;
    let session = db.session().await;
    let cases =
        [("Asia/Kathmandu", "day"), ("Europe/Berlin", "week"), ("Pacific/Chatham", "hour"), ("UTC", "month")];
    for pass in ["clean", "under marks"] {
        for (zone, step) in cases {
            assert_reads(&db, zone, step, &MEASURES, &truth(zone, step, "", ADDITIVE)).await;
            let by_route = ["--by", "route", "--measure", MEASURES[1]];
            assert_reads(&db, zone, step, &by_route, &truth(zone, step, "route, ", ADDITIVE)).await;
            let measures = "p_measure => ARRAY['ms', 'timed', 'calls', 'least', 'most', 'mean']";
            let function = called(
                zone,
                step,
                &format!(", p_by => ARRAY['route'], {measures}"),
                "route, ms, timed, calls, least, most, mean",
            );
            assert_same(&session, &function, &truth(zone, step, "route, ", ADDITIVE), pass).await;
        }
        session.batch("UPDATE app.call SET ms = ms + 7 WHERE id % 5 = 0; UPDATE app.call SET ms = NULL WHERE id % 13 = 0; DELETE FROM app.call WHERE id % 17 = 0").await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_summed_is_given_where_an_answer_is_one_row_and_refused_elsewhere() {
    let db = filled(DEFINITION).await;
    let session = db.session().await;
    let by_all = ["--by", "tenant,route"];
    for pass in ["clean", "under marks", "drained"] {
        assert_reads(&db, "UTC", "hour", &by_all, &truth("UTC", "hour", "tenant, route, ", ALL)).await;
        let of_one = truth("Asia/Tokyo", "hour", "route, ", ALL).replace("WHERE", "WHERE tenant = 't1' AND");
        assert_reads(&db, "Asia/Tokyo", "hour", &["--by", "route", "--tenant", "t1"], &of_one).await;
        let columns = "tenant, route, ms, timed, calls, least, most, callers, median, p95, mean";
        assert_same(
            &session,
            &called("UTC", "hour", "", columns),
            &truth("UTC", "hour", "tenant, route, ", ALL),
            pass,
        )
        .await;
        let columns = columns.trim_start_matches("tenant, ");
        let of_tenant = called("Asia/Tokyo", "hour", ", ARRAY['route'], p_tenant => 't1'", columns);
        assert_same(&session, &of_tenant, &of_one, pass).await;
        if pass == "under marks" {
            highwater(&db, &["rollup", "drain", "call_hourly"]).await.success();
        }
        session
            .batch(
                "UPDATE app.call SET ms = ms + 7 WHERE id % 50 = 0; DELETE FROM app.call WHERE id % 170 = 0",
            )
            .await
            .unwrap();
    }
    highwater(&db, &["rollup", "drain", "call_hourly"]).await.success();
    highwater(&db, &["rollup", "verify", "call_hourly"]).await.success();
    for (zone, step, more, said) in [
        ("UTC", "day", &by_all[..], "a day holds several buckets of 1 hour"),
        ("UTC", "hour", &["--by", "tenant"], "group by route too"),
        ("UTC", "hour", &["--by", "route"], "group by tenant too"),
        (
            "Asia/Kolkata",
            "hour",
            &by_all,
            "2024-10-22 00:00:00 in Asia/Kolkata holds parts of several buckets",
        ),
        ("Europe/Berlin", "hour", &by_all, "the hour from 2024-10-27 02:00:00 in Europe/Berlin"),
        ("UTC", "day", &["--measure", "callers"], "\"callers\" is declared not additive"),
    ] {
        let refused = read(&db, zone, step, more).await;
        assert_eq!(refused.code(), 2, "{zone} {step} {more:?}: {refused:?}");
        assert!(refused.stderr.contains(said) && refused.stderr.contains("--measure"), "{refused:?}");
    }
    for (zone, step, more) in [
        ("UTC", "day", ""),
        ("UTC", "hour", ", ARRAY['route']"),
        ("UTC", "hour", ", ARRAY['tenant']"),
        ("Asia/Kolkata", "hour", ""),
        ("Europe/Berlin", "hour", ""),
        ("UTC", "day", ", p_measure => ARRAY['callers', 'ms']"),
    ] {
        let error = refusal(&session, &called(zone, step, more, "ms")).await;
        assert!(error.contains("put together that cannot be: callers, median, p95"), "{error}");
    }
    let unknown = refusal(&session, &called("UTC", "day", ", ARRAY['spare']", "ms")).await;
    assert!(unknown.contains("no key column \"spare\"; it has tenant, route"), "{unknown}");
    let unknown = refusal(&session, &called("UTC", "day", ", p_measure => ARRAY['price']", "ms")).await;
    assert!(unknown.contains("no measure \"price\"; it has ms"), "{unknown}");
    let unknown = refusal(&session, &called("UTC", "year", "", "ms")).await;
    assert!(unknown.contains("it is hour, day, week or month"), "{unknown}");
}

/// The message of a statement that is refused as a wrong parameter.
async fn refusal(session: &Session, statement: &str) -> String {
    match session.query(statement, &[]).await {
        Err(DbError::Server(error)) if error.code == "22023" => error.message,
        other => panic!("{statement}: {other:?}"),
    }
}

#[tokio::test]
async fn a_declaration_that_does_not_fit_is_refused_with_what_would() {
    let db = field::migrated().await;
    db.session().await.batch(SOURCE).await.unwrap();
    for (from, to, said) in [
        ("sum = 'ms'", "sum = 'price'", "made of \"price\", which is no measure of the query"),
        ("sum = 'ms'", "sum = 'callers'", "\"callers\": measure \"callers\" is declared not additive"),
        ("sum = 'ms'", "sum = 'most'", "declare [combine] most = \"sum\""),
        ("[measure.mean]", "[measure.tenant]", "the query returns a column of that name"),
        ("[measure.callers]", "[measure.dialers]", "combine names \"dialers\", which is no measure"),
        ("average = { sum = 'ms', count = 'timed' }", "distinct = 'ms'", "declare [combine] ms = \"hll\""),
    ] {
        let path = std::env::temp_dir().join(format!("highwater-measure-{}.toml", std::process::id()));
        std::fs::write(&path, DEFINITION.replace(from, to)).unwrap();
        let refused = highwater(&db, &["rollup", "add", path.to_str().unwrap()]).await;
        std::fs::remove_file(&path).unwrap();
        assert!(refused.code() == 2 && refused.stderr.contains(said), "{to}: {refused:?}");
    }
}

#[tokio::test]
async fn names_resolve_where_the_definition_says_and_other_columns_may_go() {
    let db = field::migrated().await;
    let session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    session.batch("CREATE TABLE app.rate (route text, cents bigint); INSERT INTO app.rate VALUES ('r1', 3), ('r2', 5)").await.unwrap();
    let definition = "name = 'call_hourly'\nsource = 'call'\ntime = 'at'\ntenant = 'tenant'\ngrain = '1h'\nsearch_path = ['app']\n
      query = 'SELECT tenant, bucket, sum(cents)::bigint AS cents FROM source LEFT JOIN rate USING (route) GROUP BY 1, 2'";
    field::add(&db, definition).await;
    session.batch(&field::FILL.replace("event_hourly", "call_hourly")).await.unwrap();
    session.batch("ALTER TABLE app.call DROP COLUMN spare").await.unwrap();
    let wanted = truth(
        "Asia/Kolkata",
        "day",
        "",
        "sum(CASE route WHEN 'r1' THEN 3 WHEN 'r2' THEN 5 END)::numeric AS cents",
    );
    assert_reads(&db, "Asia/Kolkata", "day", &[], &wanted).await;
    assert_same(&session, &called("Asia/Kolkata", "day", ", '{}'", "cents"), &wanted, "by SQL").await;
}

/// Alters the rollup by a file of its own.
async fn alter(db: &TestDb, definition: &str) -> Output {
    let path = std::env::temp_dir().join(format!("highwater-alter-{}.toml", std::process::id()));
    std::fs::write(&path, definition).unwrap();
    let altered = highwater(db, &["rollup", "alter", path.to_str().unwrap()]).await.success();
    std::fs::remove_file(&path).unwrap();
    altered
}

#[tokio::test]
async fn a_measure_is_declared_and_the_grain_altered_under_it() {
    let db = filled(DEFINITION).await;
    let session = db.session().await;
    let more = format!("{DEFINITION}[measure.share]\naverage = {{ sum = 'timed', count = 'calls' }}\n");
    let altered = alter(&db, &more).await;
    assert!(altered.stdout.contains("altered in place"), "{altered:?}");
    let share = "count(ms)::numeric / count(*) AS share";
    assert_reads(
        &db,
        "Asia/Kolkata",
        "day",
        &["--measure", "share"],
        &truth("Asia/Kolkata", "day", "", share),
    )
    .await;
    let signatures = "SELECT count(*) AS known FROM pg_proc WHERE proname = 'call_hourly_read'";
    assert_eq!(session.query_one(signatures, &[]).await.unwrap().get::<_, i64>("known"), 1);
    let altered = alter(&db, &more.replace("'1h'", "'1d'")).await;
    assert!(!altered.stdout.contains("in place"), "{altered:?}");
    assert_reads(
        &db,
        "UTC",
        "day",
        &["--by", "tenant,route"],
        &truth("UTC", "day", "tenant, route, ", &format!("{ALL}, {share}")),
    )
    .await;
}
