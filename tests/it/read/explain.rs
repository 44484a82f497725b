//! `rollup explain`: the rows behind one number, in every state that a number can be in.

use highwater::db::Executor;
use highwater::rollup::render::explain::{self, Place};
use highwater::rollup::{RollupName, install};
use serde_json::{Value, json};

use super::field;
use crate::support::TestDb;
use crate::support::program::{Output, highwater};

/// Many events in one hour of t1, two of them of another key, and a joined table that decides the region.
const SOURCE: &str = "
CREATE SCHEMA app;
CREATE TABLE app.shop (id bigint PRIMARY KEY, region text);
INSERT INTO app.shop VALUES (1, 'north'), (2, 'south'), (3, NULL);
CREATE TABLE app.sale (id bigserial, tenant text, at timestamptz, shop bigint, amount bigint) PARTITION BY RANGE (at);
CREATE TABLE app.sale_old PARTITION OF app.sale FOR VALUES FROM ('2020-01-01') TO ('2024-01-05 10:30+00');
CREATE TABLE app.sale_new PARTITION OF app.sale FOR VALUES FROM ('2024-01-05 10:30+00') TO ('2030-01-01');
CREATE INDEX sale_tenant_at ON app.sale (tenant, at); CREATE INDEX sale_at ON app.sale (at);
CREATE INDEX sale_shop ON app.sale (shop);
INSERT INTO app.sale (tenant, at, shop, amount)
SELECT CASE n % 5 WHEN 0 THEN NULL ELSE 't' || n % 2 END, timestamptz '2024-01-05 09:00+00' + n * interval '20 seconds', n % 3 + 1, n
  FROM generate_series(0, 539) AS n;
INSERT INTO app.sale (tenant, at, shop, amount)
SELECT 't' || n % 9, timestamptz '2023-01-01 00:00+00' + n * interval '9 minutes', 1, n
  FROM generate_series(1, 20000) AS n;
INSERT INTO app.sale (tenant, at, shop, amount)
SELECT 't' || n % 9, timestamptz '2024-01-06 00:00+00' + n * interval '100 seconds', 1, n FROM generate_series(1, 20000) AS n;
ANALYZE app.sale;";

const DEFINITION: &str = "
name = 'sale_hourly'
source = 'app.sale'
time = 'at'
tenant = 'tenant'
grain = '1h'
key = ['region']
search_path = ['app']
query = '''
SELECT source.tenant, source.bucket, shop.region, sum(source.amount)::bigint AS amount, count(*) AS sales
  FROM source JOIN shop ON shop.id = source.shop
 WHERE source.amount <> 100
 GROUP BY source.tenant, source.bucket, shop.region
'''
[[watch]]
table = 'app.shop'
key = 'id'
columns = ['region']
affects = 'SELECT s.tenant, s.at FROM changed JOIN app.sale AS s ON s.shop = changed.key'
";

async fn world() -> TestDb {
    let db = field::migrated().await;
    db.session().await.batch(SOURCE).await.unwrap();
    field::add(&db, DEFINITION).await;
    highwater(&db, &["backfill", "sale_hourly"]).await.success();
    db
}

async fn explain(db: &TestDb, values: &[&str]) -> Output {
    let all: Vec<&str> =
        ["rollup", "explain", "sale_hourly"].into_iter().chain(values.iter().copied()).collect();
    highwater(db, &all).await
}

async fn document(db: &TestDb, values: &[&str]) -> Value {
    let values: Vec<&str> = values.iter().copied().chain(["--format", "json"]).collect();
    serde_json::from_str(&explain(db, &values).await.success().stdout).unwrap()
}

const TEN: &str = "2024-01-05T10:00:00Z";

/// What the events of an hour are by Postgres alone.
async fn truth(db: &TestDb, condition: &str) -> Vec<Value> {
    let statement = format!(
        "SELECT to_jsonb(s) AS event FROM app.sale AS s JOIN app.shop ON shop.id = s.shop
          WHERE s.at >= '2024-01-05 10:00+00' AND s.at < '2024-01-05 11:00+00' AND s.amount <> 100 AND {condition}
          ORDER BY s.at, s.id"
    );
    db.session().await.query(&statement, &[]).await.unwrap().iter().map(|row| row.get("event")).collect()
}

fn events(document: &Value) -> Vec<Value> {
    document["events"].as_array().unwrap().iter().map(|event| event["event"].clone()).collect()
}

#[tokio::test]
async fn the_events_behind_a_number_are_listed_page_by_page() {
    let db = world().await;
    for (values, condition) in [
        ([TEN, "t1", "north"], "tenant = 't1' AND region = 'north'"),
        ([TEN, "\\N", "south"], "tenant IS NULL AND region = 'south'"),
        ([TEN, "t0", "\\N"], "tenant = 't0' AND region IS NULL"),
    ] {
        let wanted = truth(&db, condition).await;
        assert!(wanted.len() > 7, "{condition}");
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let more: Vec<&str> = next.iter().flat_map(|next: &String| ["--after", next.as_str()]).collect();
            let page: Vec<&str> = values.into_iter().chain(["--limit", "7"]).chain(more).collect();
            let page = document(&db, &page).await;
            assert!(events(&page).len() <= 7);
            found.extend(events(&page));
            match page["next"].as_str() {
                Some(place) => next = Some(place.to_owned()),
                None => break,
            }
        }
        assert_eq!(found, wanted, "{condition}");
        let whole = document(&db, &[&values[..], &["--limit", "1000"]].concat()).await;
        let added: i64 = whole["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["adds"]["amount"].as_i64().unwrap())
            .sum();
        assert_eq!(json!(added), whole["stored"]["amount"]);
        assert_eq!(whole["stored"]["sales"], wanted.len());
        assert_eq!(
            (&whole["stored"], &whole["notes"], &whole["marks"]),
            (&whole["live"], &json!([]), &json!(0))
        );
        assert_eq!(whole["slice"]["state"], "complete");
    }
    let text = explain(&db, &[TEN, "t1", "north", "--limit", "3"]).await.success().stdout;
    for said in [
        "stored",
        "live",
        "complete",
        "open: 0 marks",
        "watermark 2",
        "3 rows of app.sale:",
        "ADDS",
        "more follow with --after '",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test]
async fn a_number_says_why_it_may_not_be_what_the_source_says() {
    let db = world().await;
    let session = db.session().await;
    let place = [TEN, "t1", "north"];
    let note = |document: &Value| document["notes"].to_string();
    session.batch("UPDATE app.sale SET amount = amount + 1 WHERE at = '2024-01-05 10:01+00'; INSERT INTO app.sale (tenant, at, shop, amount) VALUES ('t1', '2024-01-05 10:59+00', 1, 5000)").await.unwrap();
    let marked = document(&db, &place).await;
    assert!(
        marked["marks"].as_i64().unwrap() > 0 && note(&marked).contains("rollup drain sale_hourly"),
        "{marked}"
    );
    assert_eq!(
        marked["live"]["amount"].as_i64().unwrap() - marked["stored"]["amount"].as_i64().unwrap(),
        5001
    );
    highwater(&db, &["rollup", "drain", "sale_hourly"]).await.success();

    // A shop moves: until the drain nobody but explain, live view and verify knows which buckets that touches.
    session.batch("UPDATE app.shop SET region = 'west' WHERE id = 1").await.unwrap();
    let waiting = document(&db, &place).await;
    assert_eq!(
        (&waiting["has_waiting_key"], &waiting["live"], &waiting["events"]),
        (&json!(true), &Value::Null, &json!([]))
    );
    assert!(note(&waiting).contains("not drained"), "{waiting}");
    highwater(&db, &["rollup", "drain", "sale_hourly"]).await.success();
    let gone = explain(&db, &place).await.success().stdout;
    assert!(gone.contains("no such row") && gone.contains("no row of app.sale is counted here"), "{gone}");

    session.batch("SELECT 1; INSERT INTO highwater.sale_hourly_wide (lo, hi) VALUES ('2024-01-05 00:00+00', '2024-01-06 00:00+00')").await.unwrap();
    let ranged = document(&db, &[TEN, "t1", "west"]).await;
    assert_eq!((&ranged["ranges"], &ranged["marks"]), (&json!(1), &json!(0)));
    highwater(&db, &["rollup", "drain", "sale_hourly"]).await.success();

    session.batch("UPDATE highwater.sale_hourly SET amount = 1 WHERE tenant = 't1' AND region = 'west' AND bucket = '2024-01-05 10:00+00'").await.unwrap();
    let drifted = document(&db, &[TEN, "t1", "west"]).await;
    assert!(note(&drifted).contains("has drifted") && drifted["counted"]["amount"] != json!(1), "{drifted}");
    session
        .batch("UPDATE highwater.rollup_slice SET state = 'pending' WHERE rollup = 'sale_hourly'")
        .await
        .unwrap();
    let pending = document(&db, &[TEN, "t1", "west"]).await;
    assert!(note(&pending).contains("not backfilled") && pending["live"]["amount"] != json!(1), "{pending}");
}

#[tokio::test]
async fn a_sealed_number_says_that_its_events_are_gone() {
    let db = field::migrated().await;
    let session = db.session().await;
    session.batch(field::SOURCE).await.unwrap();
    let more = "[combine]\npeak = 'max'\namount = 'sum'\nevents = 'sum'\n";
    field::add(&db, &format!("keep_source = '1 month'{}{more}", field::DEFINITION)).await;
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    let row = session.query_one("SELECT to_jsonb(t) AS row, to_char(bucket, 'YYYY-MM-DD\"T\"HH24:MI:SSOF:00') AS at FROM highwater.event_hourly AS t WHERE tenant = 't1' AND key = 'k1' ORDER BY bucket LIMIT 1", &[]).await.unwrap();
    let (stored, at): (Value, String) = (row.get("row"), row.get("at"));
    highwater(&db, &["prune", "event_hourly"]).await.success();
    let arguments = ["rollup", "explain", "event_hourly", &at, "t1", "k1"];
    let text = highwater(&db, &arguments).await.success().stdout;
    assert!(text.contains("baseline") && text.contains("raw events of it are pruned"), "{text}");
    let json: Vec<&str> = arguments.into_iter().chain(["--format", "json"]).collect();
    let sealed: Value = serde_json::from_str(&highwater(&db, &json).await.success().stdout).unwrap();
    assert_eq!(
        (&sealed["baseline"], &sealed["stored"], &sealed["live"], &sealed["events"]),
        (&stored, &stored, &stored, &json!([]))
    );
}

#[tokio::test]
async fn what_cannot_be_explained_is_a_usage_error_that_says_what_can() {
    let db = world().await;
    for (values, said) in [
        (&[TEN, "t1"][..], "told by its bucket and tenant, region; 1 values were given"),
        (&[TEN, "t1", "north", "red"], "3 values were given (\\N stands for NULL)"),
        (
            &["2024-01-05T10:20:00Z", "t1", "north"],
            "is not a bucket of rollup \"sale_hourly\", whose grain is 1 hour",
        ),
        (&["noon", "t1", "north"], "expected a month"),
        (&[TEN, "t1", "north", "--after", "there"], "no place to go on from"),
        (&[TEN, "t1", "north", "--after", "soon/1/(0,1)"], "soon"),
    ] {
        let refused = explain(&db, values).await;
        assert!(refused.code() == 2 && refused.stderr.contains(said), "{values:?}: {refused:?}");
    }
    let unknown = highwater(&db, &["rollup", "explain", "sales", TEN]).await;
    assert!(unknown.code() == 2 && unknown.stderr.contains("no rollup \"sales\""), "{unknown:?}");
    let definition = "name = 'by_shop'\nsource = 'app.sale'\ntime = 'at'\ngrain = '1d'\nkey = ['shop']\nquery = 'SELECT shop, bucket, count(*) AS sales FROM source GROUP BY 1, 2'";
    field::add(&db, definition).await;
    let refused = highwater(&db, &["rollup", "explain", "by_shop", "2024-01-05", "first"]).await;
    assert!(
        refused.code() == 2 && refused.stderr.contains("invalid input syntax for type bigint: \"first\""),
        "{refused:?}"
    );
    let shown = highwater(&db, &["rollup", "explain", "by_shop", "2024-01-05", "2"]).await.success().stdout;
    assert!(shown.contains("not backfilled") && shown.contains("20 rows of app.sale"), "{shown}");
}

#[tokio::test]
async fn an_explanation_reads_its_bucket_by_index() {
    let db = world().await;
    let mut session = db.session().await;
    let name: RollupName = "sale_hourly".parse().unwrap();
    let shape = install::load(&mut session, &name).await.unwrap();
    let column = |name: &str| shape.columns.iter().find(|column| column.name == name).unwrap();
    let values =
        vec![(column("tenant"), Some("t1".to_owned())), (column("region"), Some("north".to_owned()))];
    let place = Place { values, has_tenant: true };
    session.batch("SET search_path = app").await.unwrap();
    for statement in [explain::row(&shape, &place), explain::events(&shape, &place, false, 20)] {
        let statement = statement
            .replace("$1", "'2024-01-05 10:00+00'::timestamptz")
            .replace("$2", "'t1'")
            .replace("$3", "'north'");
        let plan = field::plan(&session, &statement).await;
        let lines = |word: &str| {
            plan.lines()
                .filter(|line| line.contains(word) && !line.contains("never executed"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert!(!lines("Seq Scan").contains("sale_old") && !lines("Seq Scan").contains("sale_new"), "{plan}");
        let months = lines(" on sale_hourly_20");
        assert!(!months.is_empty() || statement.contains("explain_events"), "{plan}");
        assert!(
            !lines("Seq Scan").contains(" on sale_hourly_20") && !months.contains("sale_hourly_2023"),
            "{plan}"
        );
    }
}
