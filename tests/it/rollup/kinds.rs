//! Sources of every kind: tenants, time columns, grains, odd names, custom targets.

use highwater::db::Executor;
use highwater::rollup::backfill::Options;

use super::field;
use crate::support::TestDb;

/// Installs over history, backfills, changes things, drains; both times the rows must be those of `truth`.
async fn counts(db: &TestDb, name: &str, definition: &str, change: &str, rows: &str, truth: &str) {
    let mut session = db.session().await;
    field::add(&mut session, definition).await.unwrap();
    field::backfill_of(db, name, &Options::default()).await.unwrap();
    field::assert_same(&session, rows, truth).await;
    session.batch(change).await.unwrap();
    assert!(!field::differences(&session, rows, truth).await.is_empty(), "the change changes nothing");
    let report = field::drain(&mut session, name).await;
    assert!(report.buckets > 0, "{report:?}");
    field::assert_same(&session, rows, truth).await;
    let proof = field::verify(db, name).await;
    assert_eq!((proof.drifted, proof.open, proof.pending), (0, 0, 0), "{proof:?}");
}

async fn with(sql: &str) -> TestDb {
    let db = field::migrated().await;
    db.session().await.batch(sql).await.unwrap();
    db
}

#[tokio::test]
async fn a_rollup_without_tenant_counts() {
    let db = with(
        "CREATE TABLE hit (at timestamptz, key text, amount int); CREATE INDEX ON hit (at);
         INSERT INTO hit SELECT timestamptz '2024-01-20 00:00+00' + n * interval '1 hour', 'k' || n % 2, n FROM generate_series(1, 600) AS n",
    )
    .await;
    counts(
        &db,
        "hit_hourly",
        &field::define("hit_hourly", "hit", "at", None, "1h"),
        "UPDATE hit SET key = 'k9' WHERE amount % 100 = 0; DELETE FROM hit WHERE amount = 7; INSERT INTO hit VALUES ('2020-05-05', NULL, 1)",
        "SELECT bucket, key, amount, events FROM highwater.hit_hourly",
        "SELECT date_trunc('hour', at, 'UTC'), key, sum(amount)::bigint, count(*) FROM hit GROUP BY 1, 2",
    )
    .await;
}

#[tokio::test]
async fn null_and_empty_tenants_and_keys_are_kept_apart() {
    let db = with(
        "CREATE TABLE hit (shop text, at timestamptz, key text, amount int); CREATE INDEX ON hit (shop, at);
         INSERT INTO hit SELECT CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 's' END, timestamptz '2024-01-20 00:00+00' + n * interval '1 hour',
                CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'k' END, n FROM generate_series(1, 600) AS n",
    )
    .await;
    counts(
        &db,
        "hit_hourly",
        &field::define("hit_hourly", "hit", "at", Some("shop"), "1d"),
        "UPDATE hit SET key = '' WHERE key IS NULL AND amount < 100; UPDATE hit SET shop = NULL WHERE shop = '' AND amount > 500;
         INSERT INTO hit VALUES (NULL, '2024-01-21', NULL, 5), ('', '2024-01-21', '', 6)",
        "SELECT shop, bucket, key, amount, events FROM highwater.hit_hourly",
        "SELECT shop, date_trunc('day', at, 'UTC'), key, sum(amount)::bigint, count(*) FROM hit GROUP BY 1, 2, 3",
    )
    .await;
}

#[tokio::test]
async fn odd_and_mixed_case_names_are_quoted() {
    let db = with(
        "CREATE SCHEMA \"My App\";
         CREATE TABLE \"My App\".\"Order's %I $1\" (\"Tenant Id\" int NOT NULL, \"When\" timestamptz, key text, amount int, \"we\"\"ird{{x}}\" text, \"select\" text);
         CREATE INDEX ON \"My App\".\"Order's %I $1\" (\"Tenant Id\", \"When\");
         INSERT INTO \"My App\".\"Order's %I $1\" SELECT n % 3, timestamptz '2024-01-20 00:00+00' + n * interval '1 hour', 'k', n, 'w' || n % 2, 's'
           FROM generate_series(1, 600) AS n",
    )
    .await;
    let definition = "name = 'odd'\nsource = '\"My App\".\"Order''s %I $1\"'\ntime = 'When'\ntenant = 'Tenant Id'\ngrain = '1h'\n\
         key = ['we\"ird{{x}}', 'select']\nindex = [['select', 'bucket']]\nquery = '''\n\
         SELECT source.\"Tenant Id\", bucket, \"we\"\"ird{{x}}\", \"select\", sum(amount) AS \"To\\tal's\"\n\
           FROM source GROUP BY source.\"Tenant Id\", bucket, \"we\"\"ird{{x}}\", \"select\" -- done\n'''\n"
        .replace("'\"My App\".\"Order''s %I $1\"'", "\"\\\"My App\\\".\\\"Order's %I $1\\\"\"");
    counts(
        &db,
        "odd",
        &definition,
        "UPDATE \"My App\".\"Order's %I $1\" SET \"When\" = \"When\" + interval '1 year' WHERE amount % 50 = 0",
        "SELECT \"Tenant Id\", bucket, \"we\"\"ird{{x}}\", \"select\", \"To\\tal's\" FROM highwater.odd",
        "SELECT \"Tenant Id\", date_trunc('hour', \"When\", 'UTC'), \"we\"\"ird{{x}}\", \"select\", sum(amount) FROM \"My App\".\"Order's %I $1\" GROUP BY 1, 2, 3, 4",
    )
    .await;
}

#[tokio::test]
async fn timestamps_without_zone_are_read_as_utc() {
    let db = with(
        "CREATE TABLE hit (tenant int, at timestamp, key text, amount int); CREATE INDEX ON hit (at);
         INSERT INTO hit SELECT n % 3, timestamp '2024-01-31 12:30' + n * interval '5 minutes', 'k', n FROM generate_series(1, 600) AS n",
    )
    .await;
    // Whoever writes has a zone of their own; it must not matter.
    let change = "SET TimeZone = 'Asia/Kolkata'; UPDATE hit SET amount = 0 WHERE amount % 50 = 0; INSERT INTO hit VALUES (1, '2024-02-01 00:00', 'k', 1); RESET TimeZone";
    counts(
        &db,
        "hit_quarterly",
        &field::define("hit_quarterly", "hit", "at", Some("tenant"), "15m"),
        change,
        "SELECT tenant, bucket, key, amount, events FROM highwater.hit_quarterly",
        "SELECT tenant, date_bin('15 minutes', at, '2024-01-01') AT TIME ZONE 'UTC', key, sum(amount)::bigint, count(*) FROM hit GROUP BY 1, 2, 3",
    )
    .await;
}

#[tokio::test]
async fn dates_are_days_in_utc() {
    let db = with(
        "CREATE TABLE hit (tenant int, at date, key text, amount int); CREATE INDEX ON hit (tenant, at);
         INSERT INTO hit SELECT n % 3, date '2023-12-20' + n / 10, 'k', n FROM generate_series(1, 600) AS n",
    )
    .await;
    counts(
        &db,
        "hit_daily",
        &field::define("hit_daily", "hit", "at", Some("tenant"), "1d"),
        "DELETE FROM hit WHERE at = '2024-01-01'; INSERT INTO hit VALUES (1, '2024-02-29', 'k', 3), (1, '5874897-12-31', 'k', 1), (1, 'infinity', 'k', 1)",
        "SELECT tenant, bucket, key, amount, events FROM highwater.hit_daily",
        "SELECT tenant, at::timestamp AT TIME ZONE 'UTC', key, sum(amount)::bigint, count(*) FROM hit WHERE at < '10000-01-01' GROUP BY 1, 2, 3",
    )
    .await;
}

#[tokio::test]
async fn local_times_are_read_in_their_zone_on_both_days_of_the_year_that_jump() {
    // 2024-03-31 has no 02:00 to 03:00 in Berlin; 2024-10-27 has it twice, and the month begins at 22:00 or 23:00 UTC.
    let db = with(
        "CREATE TABLE hit (tenant int, at timestamp, key text, amount int); CREATE INDEX ON hit (tenant, at);
         INSERT INTO hit SELECT n % 2, start + n * interval '10 minutes', 'k', n
           FROM generate_series(0, 450) AS n, unnest(ARRAY[timestamp '2024-03-30 00:00', '2024-10-26 00:00', '2024-03-31 22:00']) AS start",
    )
    .await;
    let definition = field::define("hit_half", "hit", "at", Some("tenant"), "30m");
    counts(
        &db,
        "hit_half",
        &format!("zone = 'Europe/Berlin'\n{definition}"),
        "DELETE FROM hit WHERE at BETWEEN '2024-10-27 02:00' AND '2024-10-27 02:30';
         UPDATE hit SET amount = amount + 1 WHERE at BETWEEN '2024-03-31 01:30' AND '2024-03-31 03:30';
         INSERT INTO hit VALUES (1, '2024-03-31 02:30', 'gap', 1), (1, '2024-10-27 02:59', 'twice', 1), (1, '2024-11-01 00:30', 'edge', 1)",
        "SELECT tenant, bucket, key, amount, events FROM highwater.hit_half",
        "SELECT tenant, date_bin('30 minutes', at AT TIME ZONE 'Europe/Berlin', '2024-01-01 00:00+00'), key, sum(amount)::bigint, count(*) FROM hit GROUP BY 1, 2, 3",
    )
    .await;
    let mut session = db.session().await;
    let nowhere =
        format!("zone = 'Europe/Nowhere'\n{}", field::define("nowhere", "hit", "at", Some("tenant"), "30m"));
    let refused = field::add(&mut session, &nowhere).await.unwrap_err().to_string();
    assert!(refused.contains("Europe/Nowhere"), "{refused}");
}

#[tokio::test]
async fn every_grain_cuts_at_its_own_boundaries() {
    let db = with(
        "CREATE TABLE hit (tenant int, at timestamptz, key text, amount int); CREATE INDEX ON hit (tenant, at);
         INSERT INTO hit SELECT n % 2, timestamptz '2024-02-28 00:00+00' + n * interval '7 minutes', 'k', n FROM generate_series(0, 600) AS n",
    )
    .await;
    for (grain, interval) in [("15m", "15 minutes"), ("30m", "30 minutes"), ("1h", "1 hour"), ("1d", "1 day")]
    {
        let name = format!("hit_{grain}");
        counts(
            &db,
            &name,
            &field::define(&name, "hit", "at", Some("tenant"), grain),
            // Both sides of a boundary of every grain.
            "INSERT INTO hit VALUES (0, '2024-02-29 23:59:59.999999+00', 'k', 1), (0, '2024-03-01 00:00+00', 'k', 2)",
            &format!("SELECT tenant, bucket, key, amount, events FROM highwater.{name}"),
            &format!("SELECT tenant, date_bin('{interval}', at, '2024-01-01 00:00+00'), key, sum(amount)::bigint, count(*) FROM hit GROUP BY 1, 2, 3"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_target_of_ones_own_and_a_source_column_named_bucket() {
    let db = with(
        "CREATE SCHEMA report;
         CREATE TABLE hit (tenant int, at timestamptz, bucket text, key text, amount int); CREATE INDEX ON hit (tenant, at);
         INSERT INTO hit SELECT n % 2, timestamptz '2024-02-28 00:00+00' + n * interval '7 minutes', 'blue', 'k', n FROM generate_series(0, 600) AS n",
    )
    .await;
    let definition = field::define("hit_hourly", "public.hit", "at", Some("tenant"), "1h");
    counts(
        &db,
        "hit_hourly",
        &format!("target = 'report.Hits By Hour'\n{definition}"),
        "UPDATE hit SET bucket = 'red', amount = 1 WHERE amount % 10 = 0",
        "SELECT tenant, bucket, key, amount, events FROM report.\"Hits By Hour\"",
        "SELECT tenant, date_trunc('hour', at, 'UTC'), key, sum(amount)::bigint, count(*) FROM hit GROUP BY 1, 2, 3",
    )
    .await;
    let mut session = db.session().await;
    session
        .batch("CREATE TABLE tap (bucket timestamptz, key text, amount int); CREATE INDEX ON tap (bucket)")
        .await
        .unwrap();
    field::add(&mut session, &field::define("tap_hourly", "tap", "bucket", None, "1h")).await.unwrap();
    session.batch("INSERT INTO tap VALUES ('2024-01-01 10:17+00', 'k', 3)").await.unwrap();
    field::drain(&mut session, "tap_hourly").await;
    let rows = "SELECT bucket, amount FROM highwater.tap_hourly";
    field::assert_same(&session, rows, "SELECT timestamptz '2024-01-01 10:00+00', 3::bigint").await;
}

#[tokio::test]
async fn a_month_with_two_rows_of_one_key_fails_loudly() {
    let db = with(
        "CREATE TABLE hit (tenant int, at timestamptz, key text, amount int); CREATE INDEX ON hit (tenant, at);
         INSERT INTO hit VALUES (1, '2024-01-01', 'a', 1), (1, '2024-01-01', 'b', 1)",
    )
    .await;
    let mut session = db.session().await;
    // The query groups by a column that is not in the key.
    let definition = field::define("hit_hourly", "hit", "at", Some("tenant"), "1h")
        .replace("key = ['key']", "key = []")
        .replace("source.bucket, source.key, sum", "source.bucket, sum");
    field::add(&mut session, &definition).await.unwrap();
    let failed = field::backfill_of(&db, "hit_hourly", &Options::default()).await.unwrap_err().to_string();
    assert!(failed.contains("2024-01") && failed.contains("23505"), "{failed}");
}
