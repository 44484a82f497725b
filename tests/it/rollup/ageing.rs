//! Ageing: raw events of sealed months go, their values stay, and nothing that happens later counts twice or is lost.
//!
//! The truth is a table beside the source that gets every change of an application and no prune.

use highwater::db::{Executor, Session};
use highwater::ground::shutdown;
use highwater::rollup::watch::Open;
use highwater::rollup::{RollupError, RollupName, backfill, prune, verify};

use super::field;
use crate::support::TestDb;
use crate::support::program::highwater;

pub const DEFINITION: &str = "
name = \"event_hourly\"
source = \"app.event\"
time = \"at\"
tenant = \"tenant\"
grain = \"1h\"
key = [\"key\"]
keep_source = \"60 days\"
query = '''
SELECT source.tenant, source.bucket, source.key, sum(source.amount)::bigint AS amount, count(*) AS events,
       min(source.amount) AS least, max(source.note) AS last_note
  FROM source
 GROUP BY source.tenant, source.bucket, source.key
'''
[combine]
amount = \"sum\"
events = \"sum\"
least = \"min\"
last_note = \"max\"
";

/// The first months of 2024 are over for longer than any test keeps its source.
pub const ROWS: &str =
    "SELECT tenant, bucket, key, amount, events, least, last_note FROM highwater.event_hourly";
pub const LIVE: &str =
    "SELECT tenant, bucket, key, amount, events, least, last_note FROM highwater.event_hourly_live";
pub const TRUTH: &str = "
SELECT tenant, date_trunc('hour', at, 'UTC') AS bucket, key, sum(amount)::bigint, count(*), min(amount), max(note)
  FROM app.truth GROUP BY 1, 2, 3";

/// Sealed months with their history, and the truth beside it; everything backfilled.
pub async fn aged(definition: &str) -> (TestDb, Session) {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(&format!("{}{}ANALYZE app.event", field::SOURCE, field::SEED)).await.unwrap();
    session.batch("CREATE TABLE app.truth AS SELECT * FROM app.event").await.unwrap();
    field::add(&mut session, definition).await.unwrap();
    field::backfill(&db, &backfill::Options::default()).await.unwrap();
    (db, session)
}

pub async fn prune(session: &mut Session, batch: u32) -> Result<prune::Report, RollupError> {
    let name = RollupName::parse("event_hourly").unwrap();
    let (_trigger, shutdown) = shutdown::channel();
    let options = prune::Options { dry_run: false, batch };
    prune::run(session, &name, options, &Open, &shutdown).await
}

/// An event that the application writes: into the source and into the truth.
async fn happens(session: &Session, at: &str, amount: i64) {
    let statement = format!(
        "WITH new AS (INSERT INTO app.event (tenant, at, key, note, amount) VALUES ('t1', '{at}', 'k2', 'note 9', {amount}) RETURNING *)
         INSERT INTO app.truth SELECT * FROM new"
    );
    session.batch(&statement).await.unwrap();
}

async fn assert_exact(db: &TestDb, session: &mut Session) {
    field::assert_same(session, LIVE, TRUTH).await;
    field::drain(session, "event_hourly").await;
    field::assert_same(session, ROWS, TRUTH).await;
    assert_eq!(field::verify(db, "event_hourly").await.drifted, 0);
}

#[tokio::test]
async fn raw_events_go_and_their_values_stay_whatever_is_run() {
    let (db, mut session) = aged(DEFINITION).await;
    let report = prune(&mut session, 70).await.unwrap();
    assert_eq!(report.pruned.iter().map(|month| month.rows).sum::<i64>(), field::MONTHS * 200, "{report:?}");
    assert_eq!(field::number(&session, "SELECT count(*) FROM app.event").await, 0);
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await, 0);
    assert_exact(&db, &mut session).await;

    // A late event counts once, before the next prune and after it, alone and beside what was pruned.
    happens(&session, "2024-02-03 04:30+00", 1_000).await;
    happens(&session, "2024-02-01 03:05+00", 1_000_000).await;
    assert_exact(&db, &mut session).await;
    session.batch("UPDATE app.event SET amount = -7; UPDATE app.truth SET amount = -7 WHERE id IN (SELECT id FROM app.event)").await.unwrap();
    assert_exact(&db, &mut session).await;
    let again = prune(&mut session, 70).await.unwrap();
    assert_eq!(again.pruned.len(), 1, "{again:?}");
    assert_eq!(again.pruned[0].rows, 2);
    assert_exact(&db, &mut session).await;
    assert!(prune(&mut session, 70).await.unwrap().pruned.is_empty());

    // Whatever computes a month anew, and whatever empties the source.
    happens(&session, "2024-03-03 04:30+00", 5).await;
    session
        .batch("TRUNCATE app.event; DELETE FROM app.truth WHERE amount = 5 AND note = 'note 9'")
        .await
        .unwrap();
    assert_exact(&db, &mut session).await;
    let restart = backfill::Options { restart: true, ..backfill::Options::default() };
    field::backfill(&db, &restart).await.unwrap();
    assert_exact(&db, &mut session).await;
    session
        .batch("SELECT highwater.event_hourly_window('2024-01-01 00:00+00', '2024-06-01 00:00+00')")
        .await
        .unwrap();
    assert_exact(&db, &mut session).await;
    session
        .batch("UPDATE highwater.event_hourly SET amount = 1 WHERE bucket < '2024-02-01 00:00+00'")
        .await
        .unwrap();
    let (_trigger, shutdown) = shutdown::channel();
    let options = verify::Options { range: Default::default(), sample: None, parallel: 1, repair: true };
    let name = RollupName::parse("event_hourly").unwrap();
    let silent = highwater::rollup::watch::Silent;
    verify::run(&db.target(), "test", &name, &options, &silent, &Open, &shutdown).await.unwrap();
    assert_exact(&db, &mut session).await;
    // The month's own table lost: the baseline restores it.
    session
        .batch("DROP TABLE highwater.event_hourly_2024_02; UPDATE highwater.rollup_slice SET state = 'pending' WHERE slice_start = '2024-02-01 00:00+00'")
        .await
        .unwrap();
    field::backfill(&db, &backfill::Options::default()).await.unwrap();
    assert_exact(&db, &mut session).await;
}

#[tokio::test]
async fn a_local_day_that_cuts_a_pruned_bucket_is_refused_and_no_wrong_number() {
    let (db, mut session) = aged(DEFINITION).await;
    let read = |zone: &'static str| {
        let db = &db;
        async move {
            highwater(
                db,
                &[
                    "rollup",
                    "read",
                    "event_hourly",
                    "--from",
                    "2024-02-01",
                    "--to",
                    "2024-02-20",
                    "--tz",
                    zone,
                    "--step",
                    "day",
                ],
            )
            .await
        }
    };
    let before = read("Asia/Tokyo").await.success();
    read("Asia/Kolkata").await.success();
    prune(&mut session, 1000).await.unwrap();
    let after = read("Asia/Tokyo").await.success();
    assert_eq!(before.stdout, after.stdout);
    let refused = read("Asia/Kolkata").await;
    assert!(refused.code() != 0 && refused.stderr.contains("raw events were pruned"), "{refused:?}");
    let function = "SELECT count(*) FROM highwater.event_hourly_read('2024-02-01 00:00+05:30', '2024-02-20 00:00+05:30', 'Asia/Kolkata', 'day')";
    let refused = session.query(function, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("raw events were pruned"), "{refused}");
}

#[tokio::test]
async fn measures_that_do_not_merge_are_refused_before_anything_is_deleted() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(&format!("{}{}", field::SOURCE, field::SEED)).await.unwrap();
    let distinct = DEFINITION.replace("max(source.note)", "count(DISTINCT source.note)");
    let undeclared = distinct.replace("last_note = \"max\"", "");
    let refused = field::add(&mut session, &undeclared).await.unwrap_err().to_string();
    assert!(refused.contains("keep_source = \"60 days\"") && refused.contains("last_note"), "{refused}");
    let having = DEFINITION.replace("source.key\n'''", "source.key HAVING count(*) > 1\n'''");
    let refused = field::add(&mut session, &having).await.unwrap_err().to_string();
    assert!(refused.contains("HAVING"), "{refused}");
    let unknown = DEFINITION.replace("60 days", "60 d");
    let refused = field::add(&mut session, &unknown).await.unwrap_err().to_string();
    assert!(refused.contains("\"60 d\" is no span to keep"), "{refused}");

    // Declared to add up, which it does not: the first batch finds out.
    session
        .batch("UPDATE app.event SET at = date_trunc('day', at, 'UTC'), key = NULL, note = 'note ' || tenant")
        .await
        .unwrap();
    let lie = distinct.replace("last_note = \"max\"", "last_note = \"sum\"");
    field::add(&mut session, &lie).await.unwrap();
    field::backfill(&db, &backfill::Options::default()).await.unwrap();
    let refused = prune(&mut session, 1000).await.unwrap_err();
    assert!(matches!(refused, RollupError::Unmerged { .. }), "{refused}");
    assert_eq!(field::number(&session, "SELECT count(*) FROM app.event").await, field::MONTHS * 200);
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_base").await, 0);
}

#[tokio::test]
async fn only_what_every_rollup_over_the_source_has_sealed_is_pruned() {
    let (db, mut session) = aged(DEFINITION).await;
    let other = field::define("other", "app.event", "at", None, "1d");
    field::add(&mut session, &other).await.unwrap();
    let refused = prune(&mut session, 1000).await.unwrap_err().to_string();
    assert!(refused.contains("rollup \"other\" over the same source has no keep_source"), "{refused}");
    highwater::rollup::drop::run(&mut session, &RollupName::parse("other").unwrap()).await.unwrap();
    let longer = other.replace("grain", "keep_source = '26 months'\ngrain");
    field::add(&mut session, &longer).await.unwrap();
    assert!(prune(&mut session, 1000).await.unwrap().pruned.is_empty(), "the other one is not filled yet");
    field::backfill_of(&db, "other", &backfill::Options::default()).await.unwrap();
    let sealed = "SELECT count(*) FROM app.event WHERE date_trunc('month', at, 'UTC') + interval '1 month' <= now() - interval '26 months'";
    let expected = field::number(&session, sealed).await;
    let report = prune(&mut session, 90).await.unwrap();
    assert_eq!(report.pruned.iter().map(|month| month.rows).sum::<i64>(), expected, "{report:?}");
    assert_exact(&db, &mut session).await;
    field::drain(&mut session, "other").await;
    field::assert_same(
        &session,
        "SELECT bucket, key, amount, events FROM highwater.other",
        "SELECT date_trunc('day', at, 'UTC'), key, sum(amount)::bigint, count(*) FROM app.truth GROUP BY 1, 2",
    )
    .await;
}

#[tokio::test]
async fn partitions_of_the_source_are_pruned_alike() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session
        .batch(
            "CREATE SCHEMA app;
             CREATE TABLE app.event (id bigserial, tenant text NOT NULL, at timestamptz, key text, note text, amount bigint) PARTITION BY RANGE (at);
             CREATE TABLE app.event_a PARTITION OF app.event FOR VALUES FROM (MINVALUE) TO ('2024-03-15 00:00+00');
             CREATE TABLE app.event_b PARTITION OF app.event FOR VALUES FROM ('2024-03-15 00:00+00') TO (MAXVALUE);
             CREATE INDEX ON app.event (tenant, at); CREATE INDEX ON app.event (at);",
        )
        .await
        .unwrap();
    session
        .batch(&format!(
            "{}ANALYZE app.event; CREATE TABLE app.truth AS SELECT * FROM app.event",
            field::SEED
        ))
        .await
        .unwrap();
    field::add(&mut session, DEFINITION).await.unwrap();
    field::backfill(&db, &backfill::Options::default()).await.unwrap();
    let report = prune(&mut session, 64).await.unwrap();
    assert_eq!(report.pruned.iter().map(|month| month.rows).sum::<i64>(), field::MONTHS * 200, "{report:?}");
    happens(&session, "2024-03-15 04:30+00", 3).await;
    assert_exact(&db, &mut session).await;
}

#[tokio::test]
async fn months_beyond_keep_are_dropped_and_what_comes_for_them_is_counted_aside() {
    let (db, mut session) = aged(&DEFINITION.replace("keep_source", "keep = \"1 year\"\nkeep_source")).await;
    happens(&session, "2024-01-02 04:30+00", 3).await;
    let dry = highwater(&db, &["prune", "event_hourly", "--dry-run", "--format", "json"]).await.success();
    let dry: serde_json::Value = serde_json::from_str(dry.stdout.trim()).unwrap();
    assert_eq!(dry["dropped"].as_array().unwrap().len(), field::MONTHS as usize, "{dry}");
    assert_eq!(field::number(&session, "SELECT count(*) FROM app.event").await, field::MONTHS * 200 + 1);
    highwater(&db, &["prune", "event_hourly"]).await.success();
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly").await, 0);
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_base").await, 0);
    assert_eq!(
        field::number(&session, "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'event_hourly'")
            .await,
        0
    );

    happens(&session, "2024-02-03 04:30+00", 1_000).await;
    assert_eq!(
        field::number(&session, "SELECT count(*) FROM highwater.event_hourly_live").await,
        0,
        "no half month"
    );
    field::drain(&mut session, "event_hourly").await;
    field::backfill(&db, &backfill::Options { restart: true, ..backfill::Options::default() }).await.unwrap();
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly").await, 0);
    assert_eq!(
        field::number(&session, "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'event_hourly'")
            .await,
        0
    );
    let status = highwater(&db, &["status"]).await;
    assert!(status.stdout.contains("1 change came for months before 2024-09"), "{status:?}");
    let window = "SELECT highwater.event_hourly_window('2024-02-01 00:00+00', '2024-03-01 00:00+00')";
    let refused = session.batch(window).await.unwrap_err().to_string();
    assert!(refused.contains("has dropped its months before"), "{refused}");
}
