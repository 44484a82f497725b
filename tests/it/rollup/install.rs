//! Adding and dropping rollups: what stands in the database afterwards.

use highwater::db::Executor;
use highwater::rollup::RollupError;
use highwater::rollup::backfill::Options;
use highwater::rollup::install::{self, Installed};

use super::field::{self, DEFINITION, ROWS, SOURCE, TRUTH};
use crate::support::program::{command, highwater, run};

/// Everything that could be left behind.
const OBJECTS: &str = "
SELECT 'relation ' || c.oid::regclass::text FROM pg_class AS c WHERE c.relnamespace = 'highwater'::regnamespace
UNION ALL SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'highwater'::regnamespace
UNION ALL SELECT 'type ' || t.oid::regtype::text FROM pg_type AS t WHERE t.typnamespace = 'highwater'::regnamespace
UNION ALL SELECT 'trigger ' || t.tgname || t.tgrelid::regclass FROM pg_trigger AS t WHERE NOT t.tgisinternal
UNION ALL SELECT 'ledger ' || r.name FROM highwater.rollup AS r
UNION ALL SELECT 'slice ' || s.rollup FROM highwater.rollup_slice AS s";

#[tokio::test]
async fn a_source_without_an_index_is_refused_with_the_statement_that_makes_one() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(&format!("{SOURCE} DROP INDEX app.event_tenant_at, app.event_at")).await.unwrap();
    // None of these can find one bucket.
    session
        .batch(
            "CREATE INDEX ON app.event USING brin (at); CREATE INDEX ON app.event (at) WHERE amount > 0;
             CREATE INDEX ON app.event (tenant, key, at); CREATE INDEX ON app.event (date(at AT TIME ZONE 'UTC'))",
        )
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event_hourly.toml");
    std::fs::write(&file, DEFINITION).unwrap();
    let file = file.to_str().unwrap();
    let refused = highwater(&db, &["rollup", "add", file]).await;
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(
        refused.stderr.contains("CREATE INDEX CONCURRENTLY ON \"app\".\"event\" (\"tenant\", \"at\")"),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("--create-index"), "{refused:?}");
    highwater(&db, &["rollup", "add", file, "--create-index"]).await.success();
    highwater(&db, &["rollup", "add", file, "--create-index"]).await.success();
    let built =
        "SELECT count(*) FROM pg_index WHERE indrelid = 'app.event'::regclass AND indkey::text = '2 3'";
    assert_eq!(field::number(&session, built).await, 1);
    session
        .batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2024-01-01 10:00+00', 1)")
        .await
        .unwrap();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_definition_added_twice_is_installed_once() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let before: i64 = field::number(&session, &format!("SELECT count(*) FROM ({OBJECTS}) AS o")).await;
    assert_eq!(field::add(&mut session, DEFINITION).await.unwrap(), Installed::Already);
    assert_eq!(field::number(&session, &format!("SELECT count(*) FROM ({OBJECTS}) AS o")).await, before);
    let other = DEFINITION.replace("1h", "30m");
    let refused = field::add(&mut session, &other).await.unwrap_err();
    assert!(matches!(refused, RollupError::Exists { .. }), "{refused}");
    assert!(refused.to_string().contains("highwater rollup drop event_hourly"), "{refused}");
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn flags_make_a_definition_that_backfills_and_verifies() {
    let db = field::migrated().await;
    let session = db.session().await;
    session
        .batch(
            "CREATE TABLE public.\"Sale\" (shop int, sold_at timestamptz, country text, \"odd name\" text, price numeric(10, 2));
             INSERT INTO \"Sale\" SELECT n % 3, timestamptz '2024-01-30 00:00+00' + n * interval '37 minutes',
                    CASE WHEN n % 5 > 0 THEN 'c' || n % 5 END, '', n / 7.0 FROM generate_series(1, 500) AS n",
        )
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let add = async |more: &[&str]| {
        let flags = [
            "rollup",
            "add",
            "--table",
            "public.\"Sale\"",
            "--time",
            "sold_at",
            "--tenant",
            "shop",
            "--by",
            "country,odd name",
            "--sum",
            "price",
        ];
        let flags: Vec<&str> = flags.iter().chain(more).copied().collect();
        run(command(&flags).env("DATABASE_URL", db.url()).current_dir(directory.path())).await
    };
    // The refusal's own advice must work: the file that the first try wrote is no obstacle.
    let refused = add(&[]).await;
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(refused.stderr.contains("--create-index"), "{refused:?}");
    add(&["--create-index"]).await.success();
    highwater(&db, &["backfill", "sale_hourly"]).await.success();
    highwater(&db, &["rollup", "verify", "sale_hourly"]).await.success();
    field::assert_same(
        &session,
        "SELECT shop, bucket, country, \"odd name\", price, event_count FROM highwater.sale_hourly",
        "SELECT shop, date_trunc('hour', sold_at, 'UTC'), country, \"odd name\", sum(price), count(*) FROM \"Sale\" GROUP BY 1, 2, 3, 4",
    )
    .await;
    std::fs::write(directory.path().join("sale_hourly.toml"), "# mine").unwrap();
    let refused = add(&[]).await;
    assert!(refused.code() == 2 && refused.stderr.contains("sale_hourly.toml"), "{refused:?}");
}

#[tokio::test]
async fn a_dropped_rollup_leaves_nothing_behind() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    let keep = format!("CREATE TABLE app.before AS {OBJECTS}");
    session.batch(&keep).await.unwrap();
    session
        .batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2024-01-01 10:00+00', 1)")
        .await
        .unwrap();
    field::add(&mut session, DEFINITION).await.unwrap();
    field::backfill(&db, &Options::default()).await.unwrap();
    let refused = highwater(&db, &["rollup", "drop", "event_hourly"]).await;
    assert!(refused.code() == 2 && refused.stderr.contains("--yes"), "{refused:?}");
    highwater(&db, &["rollup", "drop", "event_hourly", "--yes"]).await.success();
    field::assert_same(&session, OBJECTS, "SELECT * FROM app.before").await;
    session
        .batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2024-01-01 10:00+00', 1)")
        .await
        .unwrap();
    let unknown = highwater(&db, &["rollup", "drop", "event_hourly", "--yes"]).await;
    assert!(
        unknown.code() == 2
            && unknown.stderr.contains("installed are backup_job_hourly, slot_hourly, usage_hourly"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_rollup_whose_source_is_gone_is_critical_and_can_be_dropped() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch("DROP TABLE app.event CASCADE").await.unwrap();
    let status = highwater(&db, &["status"]).await;
    assert!(status.code() == 2 && status.stdout.contains("highwater rollup drop event_hourly"), "{status:?}");
    highwater(&db, &["rollup", "drop", "event_hourly", "--yes"]).await.success();
    let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'highwater'::regnamespace AND proname LIKE '%event%' AND proname NOT LIKE '%usage%'";
    assert_eq!(field::number(&session, left).await, 0);
}

#[tokio::test]
async fn two_rollups_over_one_source_share_one_set_of_triggers() {
    let db = field::complete().await;
    let mut session = db.session().await;
    // Found by its own search path, which the first definition does not have.
    let daily = field::define("event_daily", "event", "at", Some("tenant"), "1d") + "\n";
    let daily = format!("search_path = ['app']\n{daily}");
    field::add(&mut session, &daily).await.unwrap();
    let triggers =
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.event'::regclass AND NOT tgisinternal";
    assert_eq!(field::number(&session, triggers).await, 4);
    field::backfill_of(&db, "event_daily", &Options::default()).await.unwrap();
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id % 7 = 0").await.unwrap();
    let rows = "SELECT tenant, bucket, key, amount, events FROM highwater.event_daily";
    let truth = "SELECT tenant, date_trunc('day', at, 'UTC'), key, sum(amount)::bigint, count(*) FROM app.event GROUP BY 1, 2, 3";
    field::assert_exact(&mut session).await;
    field::drain(&mut session, "event_daily").await;
    field::assert_same(&session, rows, truth).await;
    highwater(&db, &["rollup", "drop", "event_hourly", "--yes"]).await.success();
    assert_eq!(field::number(&session, triggers).await, 4);
    session.batch("DELETE FROM app.event WHERE id % 7 = 1").await.unwrap();
    field::drain(&mut session, "event_daily").await;
    field::assert_same(&session, rows, truth).await;
}

#[tokio::test]
async fn an_installation_waits_for_writers_and_counts_what_they_wrote() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    let mut writer = db.session().await;
    let tx = writer.begin().await.unwrap();
    tx.batch("INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2024-01-01 10:00+00', 1)")
        .await
        .unwrap();
    let adding = field::add(&mut session, DEFINITION);
    let committing = async {
        let watcher = db.session().await;
        let waits =
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'app.event'::regclass AND NOT granted)";
        field::until(&watcher, "the installation waits", waits).await;
        tx.commit().await.unwrap();
    };
    let (added, ()) = tokio::join!(adding, committing);
    assert_eq!(added.unwrap(), Installed::New);
    field::backfill(&db, &Options::default()).await.unwrap();
    field::assert_same(&session, ROWS, TRUTH).await;
}

#[tokio::test]
async fn without_the_schema_every_command_says_how_to_make_it() {
    let db = crate::support::TestDb::empty().await;
    for arguments in [
        &["status"][..],
        &["backfill", "x"],
        &["rollup", "drain", "x"],
        &["rollup", "verify", "x"],
        &["rollup", "list"],
    ] {
        let refused = highwater(&db, arguments).await;
        assert_eq!(refused.code(), 3, "{refused:?}");
        assert!(refused.stderr.contains("highwater migrate up"), "{refused:?}");
    }
    let mut session = db.session().await;
    let definition = highwater::rollup::definition::Definition::parse(DEFINITION, "x").unwrap();
    assert!(matches!(install::install_now(&mut session, &definition).await, Err(RollupError::NotInstalled)));
}
