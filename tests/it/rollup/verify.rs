//! Verify: the proof finds what is wrong, says nothing of what is merely late, and mends.

use highwater::db::Executor;
use serde_json::json;

use super::field::{self, ROWS, TRUTH};
use crate::support::TestDb;
use crate::support::program::highwater;

async fn proof(db: &TestDb, more: &[&str]) -> (i32, serde_json::Value) {
    let arguments: Vec<&str> =
        ["rollup", "verify", "event_hourly", "--format", "json"].iter().chain(more).copied().collect();
    let ended = highwater(db, &arguments).await;
    let document = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code(), document)
}

const PLANT: &str = "
DELETE FROM highwater.event_hourly WHERE tenant = 't1' AND bucket = '2024-02-05 04:00+00';
UPDATE highwater.event_hourly SET amount = amount + 1 WHERE tenant = 't2' AND bucket = (SELECT min(bucket) FROM highwater.event_hourly WHERE tenant = 't2');
INSERT INTO highwater.event_hourly VALUES ('t0', '2024-08-01 01:00+00', NULL, 1, 1, 1)";

#[tokio::test]
async fn planted_drift_is_found_and_mended() {
    let db = field::complete().await;
    let mut session = db.session().await;
    let (code, clean) = proof(&db, &[]).await;
    assert_eq!(
        (code, &clean["drifted"], &clean["slices"], &clean["examples"]),
        (0, &json!(0), &json!(8), &json!([]))
    );
    let lost =
        "SELECT count(*) FROM highwater.event_hourly WHERE tenant = 't1' AND bucket = '2024-02-05 04:00+00'";
    session
        .batch(
            "INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '2024-02-05 04:30+00', 'lost', 1)",
        )
        .await
        .unwrap();
    field::drain(&mut session, "event_hourly").await;
    let lost = field::number(&session, lost).await;
    session.batch(PLANT).await.unwrap();
    let (code, found) = proof(&db, &[]).await;
    assert_eq!((code, found["drifted"].as_i64().unwrap()), (4, lost + 2), "{found}");
    let examples = found["examples"].as_array().unwrap();
    let kind = |kind: &str| {
        examples.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {found}"))
    };
    assert_eq!(
        kind("surplus")["key"],
        json!({"tenant": "t0", "bucket": "2024-08-01T01:00:00+00:00", "key": null})
    );
    assert_eq!((&kind("surplus")["source"], &kind("missing")["rollup"]), (&json!(null), &json!(null)));
    let different = kind("different");
    assert_eq!(
        different["rollup"]["amount"].as_i64().unwrap(),
        different["source"]["amount"].as_i64().unwrap() + 1
    );
    // A range sees its own drift only.
    assert_eq!(proof(&db, &["--from", "2024-03", "--to", "2024-08"]).await.0, 0);
    assert_eq!(
        proof(&db, &["--from", "2024-08-01T01:00:00Z", "--to", "2024-08-01T02:00:00Z"]).await.1["drifted"],
        1
    );
    let (code, mended) = proof(&db, &["--repair"]).await;
    assert_eq!((code, &mended["repaired"]), (4, &json!(lost + 2)));
    assert_eq!(proof(&db, &[]).await.0, 0);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn what_lies_under_an_open_mark_is_counted_and_is_no_drift() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id IN (7, 500)").await.unwrap();
    let (code, found) = proof(&db, &[]).await;
    assert_eq!((code, &found["drifted"], &found["open"]), (0, &json!(0), &json!(2)));
    session.batch("TRUNCATE app.event").await.unwrap();
    let (code, found) = proof(&db, &[]).await;
    assert_eq!((code, &found["drifted"]), (0, &json!(0)));
    assert_eq!(found["open"], field::number(&session, "SELECT count(*) FROM highwater.event_hourly").await);
    field::drain(&mut session, "event_hourly").await;
    assert_eq!(proof(&db, &[]).await.1["open"], 0);
}

#[tokio::test]
async fn months_that_were_not_backfilled_are_told_and_not_compared() {
    let db = field::seeded().await;
    let session = db.session().await;
    highwater(&db, &["backfill", "event_hourly", "--from", "2024-07"]).await.success();
    let (code, found) = proof(&db, &[]).await;
    assert_eq!((code, &found["slices"], &found["pending"]), (0, &json!(2), &json!(6)));
    // A month without a slice cannot hide either.
    session
        .batch("SET session_replication_role = replica; INSERT INTO app.event (tenant, at, amount) VALUES ('t', '1987-01-01', 1); RESET session_replication_role")
        .await
        .unwrap();
    assert_eq!(proof(&db, &[]).await.1["pending"], 7);
}

/// A range that cuts a bucket would take the half for the whole, and a repair would write the half.
#[tokio::test]
async fn a_range_that_cuts_a_bucket_is_refused() {
    let db = field::complete().await;
    let session = db.session().await;
    for range in [["--from", "2024-03-05T12:30:00Z"], ["--to", "2024-03-05T12:30:00Z"]] {
        let refused =
            highwater(&db, &["rollup", "verify", "event_hourly", "--repair", range[0], range[1]]).await;
        assert_eq!(refused.code(), 2, "{refused:?}");
        assert!(
            refused.stderr.contains("2024-03-05 12:30") && refused.stderr.contains("1 hour"),
            "{refused:?}"
        );
    }
    let refused =
        highwater(&db, &["rollup", "verify", "event_hourly", "--from", "2024-04", "--to", "2024-03"]).await;
    assert_eq!(refused.code(), 2, "an empty range proves nothing: {refused:?}");
    let refused = highwater(&db, &["rollup", "verify", "event_hourly", "--sample", "0"]).await;
    assert_eq!(refused.code(), 2, "an empty sample proves nothing: {refused:?}");
    field::assert_same(&session, ROWS, TRUTH).await;
}

#[tokio::test]
async fn a_sample_compares_as_many_months_as_asked_for() {
    let db = field::complete().await;
    assert_eq!(proof(&db, &["--sample", "3"]).await.1["slices"], 3);
    assert_eq!(proof(&db, &["--sample", "300"]).await.1["slices"], 8);
}
