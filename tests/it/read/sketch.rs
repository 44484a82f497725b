//! Measures that are sketches of the extensions hll and tdigest, on databases that have them and on those that do not.

use highwater::db::Executor;

use super::field::{self, assert_same};
use crate::support::TestDb;
use crate::support::program::highwater;

const SOURCE: &str = "
CREATE SCHEMA app;
CREATE TABLE app.call (id bigserial PRIMARY KEY, tenant text NOT NULL, at timestamptz, route text, caller bigint, ms bigint);
CREATE INDEX call_tenant_at ON app.call (tenant, at); CREATE INDEX call_at ON app.call (at);
INSERT INTO app.call (tenant, at, route, caller, ms)
SELECT 't' || n % 2, timestamptz '2024-10-20 00:00+00' + n * interval '2 minutes', 'r' || n % 3, n * 7919 % 501, n * 104729 % 1000
  FROM generate_series(1, 6000) AS n;";

const DEFINITION: &str = "
name = 'call_hourly'
source = 'app.call'
time = 'at'
tenant = 'tenant'
grain = '1h'
key = ['route']
query = '''
SELECT source.tenant, source.bucket, source.route, count(*) AS calls,
       hll_add_agg(hll_hash_bigint(source.caller)) AS caller_sketch,
       tdigest(source.ms::double precision, 100 ORDER BY source.ms) AS ms_sketch
  FROM source
 GROUP BY source.tenant, source.bucket, source.route
'''
[combine]
caller_sketch = 'hll'
ms_sketch = 'tdigest'
[measure.callers]
distinct = 'caller_sketch'
[measure.p95]
percentile = { of = 'ms_sketch', at = 0.95 }
";

/// What the sketches of whole local days say, made of raw events.
const TRUTH: &str = "
SELECT date_trunc('day', at AT TIME ZONE 'Asia/Kathmandu') AS local_start, count(*)::numeric AS calls,
       hll_cardinality(hll_add_agg(hll_hash_bigint(caller))) AS callers, count(DISTINCT caller) AS exact,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY ms) AS p95
  FROM app.call GROUP BY 1";

/// A database with both extensions and the rollup, filled; `None` on a machine that does not have them.
async fn sketched() -> Option<TestDb> {
    let db = field::migrated().await;
    let session = db.session().await;
    let available = "SELECT count(*) AS known FROM pg_available_extensions WHERE name IN ('hll', 'tdigest')";
    if session.query_one(available, &[]).await.unwrap().get::<_, i64>("known") < 2 {
        assert!(highwater::ground::config::env("CI").is_none(), "CI must have hll and tdigest");
        eprintln!("skipped: this server has no extensions hll and tdigest");
        return None;
    }
    session.batch("CREATE EXTENSION hll; CREATE EXTENSION tdigest").await.unwrap();
    session.batch(SOURCE).await.unwrap();
    field::add(&db, DEFINITION).await;
    session.batch(&field::FILL.replace("event_hourly", "call_hourly")).await.unwrap();
    Some(db)
}

#[tokio::test]
async fn sketches_of_any_period_are_those_of_its_events() {
    let Some(db) = sketched().await else { return };
    let session = db.session().await;
    for pass in ["clean", "under marks", "drained"] {
        let read = "FROM highwater.call_hourly_read('2024-10-19 18:15+00', '2024-11-01 18:15+00', 'Asia/Kathmandu', 'day', '{}')";
        let counted = format!("SELECT local_start, calls, round(callers::numeric, 6) AS callers {read}");
        assert_same(
            &session,
            &counted,
            &format!("SELECT local_start, calls, round(callers::numeric, 6) FROM ({TRUTH}) AS t"),
            pass,
        )
        .await;
        let far = format!(
            "SELECT t.local_start FROM ({TRUTH}) AS t JOIN (SELECT * {read}) AS r USING (local_start)
              WHERE abs(r.p95 - t.p95) > 15 OR abs(r.callers - t.exact) > 0.1 * t.exact"
        );
        assert_same(&session, &far, "SELECT NULL::timestamp WHERE false", pass).await;
        let arguments = [
            "rollup",
            "read",
            "call_hourly",
            "--from",
            "2024-10-21",
            "--to",
            "2024-10-23",
            "--tz",
            "Asia/Kathmandu",
        ];
        let text = highwater(&db, &arguments).await.success().stdout;
        assert!(
            text.contains("CALLS")
                && text.contains("CALLERS")
                && text.contains("P95")
                && !text.contains("SKETCH"),
            "{text}"
        );
        if pass == "under marks" {
            highwater(&db, &["rollup", "drain", "call_hourly"]).await.success();
        } else {
            // rows of a bucket in another order than before, some gone, some others
            session.batch("CREATE TABLE app.moved AS SELECT * FROM app.call WHERE id % 3 = 0; DELETE FROM app.call WHERE id % 3 = 0;
                INSERT INTO app.call SELECT * FROM app.moved ORDER BY hashint8(id); DROP TABLE app.moved;
                UPDATE app.call SET ms = ms / 2, caller = caller + 9 WHERE id % 20 = 0; DELETE FROM app.call WHERE id % 77 = 0").await.unwrap();
        }
    }
    highwater(&db, &["rollup", "drain", "call_hourly"]).await.success();
    let proof = highwater(&db, &["rollup", "verify", "call_hourly"]).await.success();
    assert!(proof.stdout.contains(" 0 differ"), "{proof:?}");
    // A drain of what has not changed writes nothing, in whatever order it finds the rows.
    session
        .batch("SELECT highwater.call_hourly_window('2024-10-01 00:00+00', '2024-11-01 00:00+00')")
        .await
        .unwrap();
    session
        .batch("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_hashagg = off")
        .await
        .unwrap();
    let row = session
        .query_one("SELECT highwater.call_hourly_window('2024-10-01 00:00+00', '2024-11-01 00:00+00')", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    session.batch("UPDATE highwater.call_hourly SET caller_sketch = hll_add(caller_sketch, hll_hash_bigint(-1)) WHERE bucket = '2024-10-21 05:00+00' AND route = 'r1'").await.unwrap();
    let drift = highwater(&db, &["rollup", "verify", "call_hourly", "--repair"]).await;
    assert!(drift.code() == 4 && drift.stdout.contains("caller_sketch"), "{drift:?}");
    highwater(&db, &["rollup", "verify", "call_hourly"]).await.success();
}

/// What `rollup add` says of a definition that it refuses.
async fn refusal(db: &TestDb, definition: &str) -> String {
    let path = std::env::temp_dir().join(format!("highwater-sketch-{}.toml", std::process::id()));
    std::fs::write(&path, definition).unwrap();
    let refused = highwater(db, &["rollup", "add", path.to_str().unwrap()]).await;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(refused.code(), 2, "{refused:?}");
    refused.stderr
}

#[tokio::test]
async fn a_sketch_that_cannot_be_is_refused_with_the_remedy() {
    let Some(db) = sketched().await else { return };
    let definition = DEFINITION.replace("call_hourly", "other_hourly");
    let refused = refusal(&db, &definition.replace(" ORDER BY source.ms", "")).await;
    assert!(refused.contains("\"ms_sketch\" depends on the order of the rows"), "{refused}");
    let refused = refusal(&db, &format!("keep_source = '1 month'{definition}")).await;
    assert!(refused.contains("is not that of the whole"), "{refused}");
    let refused = refusal(
        &db,
        &definition
            .replace(
                "calls,\n",
                "calls, hll_cardinality(hll_add_agg(hll_hash_bigint(source.caller)))::bigint AS n,\n",
            )
            .replace("[combine]", "[combine]\nn = 'hll'"),
    )
    .await;
    assert!(refused.contains("\"n\" is bigint and not a sketch of type hll"), "{refused}");
    let session = db.session().await;
    session.batch("DROP EXTENSION hll CASCADE").await.unwrap();
    let refused = refusal(&db, &definition).await;
    assert!(
        refused.contains("\"caller_sketch\" needs the extension hll")
            && refused.contains("CREATE EXTENSION hll"),
        "{refused}"
    );
    session.batch("CREATE SCHEMA elsewhere; CREATE EXTENSION hll SCHEMA elsewhere").await.unwrap();
    let refused = refusal(&db, &definition).await;
    assert!(refused.contains("in schema elsewhere: put that on search_path"), "{refused}");
}

#[tokio::test]
async fn a_sketch_of_pruned_events_is_merged_with_what_comes_late() {
    let Some(db) = sketched().await else { return };
    let session = db.session().await;
    let definition = format!("keep_source = '1 month'{}", DEFINITION.replace("call_hourly", "kept_hourly"));
    let without_digest = definition
        .replace("AS caller_sketch,", "AS caller_sketch")
        .replace("       tdigest(source.ms::double precision, 100 ORDER BY source.ms) AS ms_sketch\n", "")
        .replace("ms_sketch = 'tdigest'\n", "")
        .replace("[measure.p95]\npercentile = { of = 'ms_sketch', at = 0.95 }\n", "");
    highwater(&db, &["rollup", "drop", "call_hourly", "--yes"]).await.success();
    field::add(&db, &without_digest).await;
    highwater(&db, &["backfill", "kept_hourly"]).await.success();
    session.batch("CREATE TABLE app.all_calls AS SELECT * FROM app.call").await.unwrap();
    highwater(&db, &["prune", "kept_hourly"]).await.success();
    let late = "INSERT INTO app.call (tenant, at, route, caller, ms) SELECT 't1', '2024-10-21 05:30+00', 'r1', 10000 + n, 1 FROM generate_series(1, 900) AS n";
    session.batch(&format!("{late}; {}", late.replace("app.call", "app.all_calls"))).await.unwrap();
    highwater(&db, &["rollup", "drain", "kept_hourly"]).await.success();
    highwater(&db, &["rollup", "verify", "kept_hourly"]).await.success();
    let row = session.query_one("SELECT count(*) FROM app.call", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 900);
    let kept = "SELECT tenant, bucket, route, calls, caller_sketch::text FROM highwater.kept_hourly";
    let truth = "SELECT tenant, date_trunc('hour', at, 'UTC'), route, count(*), hll_add_agg(hll_hash_bigint(caller))::text FROM app.all_calls GROUP BY 1, 2, 3";
    assert_same(&session, kept, truth, "pruned").await;
}
