//! Watched tables of every shape: keys of odd types, partitions, no tenant, local time; and definitions that do not fit.

use highwater::db::Executor;
use highwater::rollup::backfill::Options;

use super::field;

/// Visits of pages; a page has a section, and pages lie in two partitions. The key is a text that sorts case-blind.
const SOURCE: &str = "
CREATE SCHEMA app;
CREATE COLLATION app.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE app.page (path text COLLATE app.blind, section json, worth float8, title text) PARTITION BY RANGE (worth);
CREATE TABLE app.page_low PARTITION OF app.page FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE app.page_high PARTITION OF app.page FOR VALUES FROM (10) TO (MAXVALUE);
CREATE TABLE app.visit (path text COLLATE app.blind, at timestamp, amount bigint);
CREATE INDEX ON app.visit (at);
CREATE INDEX ON app.visit (path);
INSERT INTO app.page SELECT 'p' || n, ('{\"name\": \"s' || n % 3 || '\"}')::json, n FROM generate_series(1, 20) AS n;
INSERT INTO app.visit SELECT 'P' || n % 25, timestamp '2024-03-30 00:00' + n * interval '37 minutes', n FROM generate_series(1, 300) AS n;";

const DEFINITION: &str = "
name = 'visit_daily'
source = 'app.visit'
time = 'at'
zone = 'Europe/Berlin'
grain = '1d'
key = ['section']
query = '''
SELECT source.bucket, page.section ->> 'name' AS section, sum(source.amount)::bigint AS amount, count(*) AS visits
  FROM source LEFT JOIN app.page ON page.path = source.path GROUP BY 1, 2
'''
[[watch]]
table = 'app.page'
key = 'path'
columns = ['section']
affects = 'SELECT v.at FROM changed JOIN app.visit AS v ON v.path = changed.key;'
";

const ROWS: &str = "SELECT bucket, section, amount, visits FROM highwater.visit_daily";
const LIVE: &str = "SELECT bucket, section, amount, visits FROM highwater.visit_daily_live";
const TRUTH: &str = "
SELECT date_trunc('day', v.at AT TIME ZONE 'Europe/Berlin', 'UTC'), page.section ->> 'name', sum(v.amount)::bigint, count(*)
  FROM app.visit AS v LEFT JOIN app.page ON page.path = v.path GROUP BY 1, 2";

#[tokio::test]
async fn a_watch_without_tenant_over_partitions_and_odd_types_is_exact() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    field::add(&mut session, DEFINITION).await.unwrap();
    field::backfill_of(&db, "visit_daily", &Options::default()).await.unwrap();
    for change in [
        // straight into a leaf, across leaves, in letter case and in white space alone
        "UPDATE app.page_low SET section = '{\"name\": \"t\"}' WHERE path = 'p3'",
        "UPDATE app.page SET worth = 100, section = NULL WHERE path = 'P4'",
        "UPDATE app.page SET section = '{\"name\": \"S1\"}' WHERE path IN ('p1', 'p7')",
        "INSERT INTO app.page (path, section, worth) VALUES ('p24', '{\"name\": \"new\"}', 1), (NULL, '1', 1)",
        "DELETE FROM app.page_high",
        "TRUNCATE app.page_low",
    ] {
        session.batch(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        assert!(!field::differences(&session, ROWS, TRUTH).await.is_empty(), "changes nothing: {change}");
        field::assert_same(&session, LIVE, TRUTH).await;
        field::drain(&mut session, "visit_daily").await;
        field::assert_same(&session, ROWS, TRUTH).await;
    }
}

#[tokio::test]
async fn a_watch_that_does_not_fit_is_refused_with_the_reason() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    for (from, to, reason) in [
        ("'app.page'\nkey", "'app.pages'\nkey", "there is no table \"app.pages\""),
        ("key = 'path'", "key = 'url'", "the watched table app.page has no column \"url\"; it has path"),
        ("['section']\naffects", "['chapter']\naffects", "has no column \"chapter\""),
        ("['section']\naffects", "[]\naffects", "name those that query and affects read"),
        (
            "affects = 'SELECT v.at FROM changed JOIN app.visit AS v ON v.path = changed.key;'",
            "affects = ' ; '",
            "affects of the watched table app.page is empty",
        ),
        (
            "SELECT v.at FROM changed",
            "SELECT v.path, v.at FROM changed",
            "must return (at timestamp without time zone), it returns (path text, at timestamp without time zone)",
        ),
        (
            "SELECT v.at FROM changed",
            "SELECT v.at::timestamptz FROM changed",
            "it returns (at timestamp with time zone)",
        ),
        ("SELECT v.at FROM changed", "SELECT v.when FROM changed", "does not run"),
        (
            "ON v.path = changed.key",
            "ON v.path || '' = changed.key",
            "would read all of app.visit for each changed key; create an index",
        ),
        ("[[watch]]", "[[watch]]\nwhere = 'x'", "unknown field `where`"),
    ] {
        assert!(DEFINITION.contains(from), "{from}");
        let definition = DEFINITION.replace(from, to);
        let definition = if to.contains("''") {
            definition.replace("'SELECT v.at", "'''SELECT v.at").replace("changed.key;'", "changed.key'''")
        } else {
            definition
        };
        let refused = field::add(&mut session, &definition).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'visit\\_daily%'";
    assert_eq!(field::number(&session, left).await, 0);
    field::add(&mut session, DEFINITION).await.unwrap();
}
