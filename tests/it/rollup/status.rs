//! Status: the document as programs read it, and the exit code of each health.

use highwater::db::Executor;

use super::field;
use crate::support::TestDb;
use crate::support::program::highwater;

async fn status(db: &TestDb) -> (i32, serde_json::Value) {
    let ended = highwater(db, &["status", "--format", "json"]).await;
    let document: serde_json::Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let rollup = document["rollups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "event_hourly")
        .unwrap()
        .clone();
    assert_eq!(document["schema_version"], 1);
    (ended.code(), rollup)
}

#[tokio::test]
async fn the_document_has_its_fields() {
    let db = field::complete().await;
    let session = db.session().await;
    let (code, rollup) = status(&db).await;
    assert_eq!(code, 0, "{rollup}");
    let now = field::number(&session, "SELECT extract(epoch FROM clock_timestamp())::bigint").await;
    let at: chrono::DateTime<chrono::Utc> = rollup["watermark_at"].as_str().unwrap().parse().unwrap();
    assert!((now - at.timestamp()).abs() < 60, "{rollup}");
    assert!((0.0..60.0).contains(&rollup["lag_seconds"].as_f64().unwrap()), "{rollup}");
    let fixed = serde_json::json!({
        "name": "event_hourly", "source": "app.event", "open_marks": 0, "oldest_mark_seconds": null, "slices_complete": 8,
        "slices_pending": 0, "covered_from": "2024-01-01T00:00:00Z", "covered_to": "2024-09-01T00:00:00Z", "last_error": null,
    });
    for (field, value) in fixed.as_object().unwrap() {
        assert_eq!(&rollup[field], value, "{field}");
    }
    session.batch("UPDATE app.event SET amount = 1 WHERE id IN (1, 900); UPDATE highwater.event_hourly_mark SET marked_at = now() - interval '90 seconds'").await.unwrap();
    let (code, rollup) = status(&db).await;
    assert_eq!((code, &rollup["open_marks"]), (0, &2.into()));
    assert!((89.0..150.0).contains(&rollup["oldest_mark_seconds"].as_f64().unwrap()), "{rollup}");
}

#[tokio::test]
async fn every_health_has_its_exit_code() {
    let db = field::seeded().await;
    let session = db.session().await;
    let (code, rollup) = status(&db).await;
    assert_eq!(
        (code, &rollup["health"], &rollup["watermark_at"]),
        (1, &"warning".into(), &serde_json::Value::Null)
    );
    assert!(
        rollup["problems"][0]
            .as_str()
            .unwrap()
            .contains("never backfilled; \"highwater backfill event_hourly\""),
        "{rollup}"
    );
    highwater(&db, &["backfill", "event_hourly", "--from", "2024-05", "--to", "2024-07"]).await.success();
    let (code, rollup) = status(&db).await;
    assert_eq!((code, &rollup["slices_complete"], &rollup["slices_pending"]), (1, &2.into(), &6.into()));
    assert_eq!(
        (&rollup["covered_from"], &rollup["covered_to"]),
        (&"2024-05-01T00:00:00Z".into(), &"2024-07-01T00:00:00Z".into())
    );
    highwater(&db, &["backfill", "event_hourly"]).await.success();
    assert_eq!(status(&db).await.0, 0);
    // An old watermark alone is no fault: without a mark the rollup is exact.
    let idle = "UPDATE highwater.rollup SET watermark_at = clock_timestamp() - interval '2 hours' WHERE name = 'event_hourly'";
    session.batch(idle).await.unwrap();
    assert_eq!(status(&db).await.0, 0);
    session.batch("UPDATE app.event SET amount = 1 WHERE id = 1").await.unwrap();
    for (age, code) in [("4 minutes", 0), ("6 minutes", 1), ("61 minutes", 2)] {
        let set = format!(
            "UPDATE highwater.event_hourly_mark SET marked_at = clock_timestamp() - interval '{age}'"
        );
        session.batch(&set).await.unwrap();
        let (found, rollup) = status(&db).await;
        assert_eq!(found, code, "{age}: {rollup}");
    }
    highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    assert_eq!(status(&db).await.0, 0);
}

#[tokio::test]
async fn capture_that_is_missing_or_disabled_is_critical() {
    let db = field::complete().await;
    let mut session = db.session().await;
    for harm in [
        "ALTER TABLE app.event DISABLE TRIGGER highwater_capture_update",
        "ALTER TABLE app.event DISABLE TRIGGER ALL",
        "ALTER TABLE app.event ENABLE REPLICA TRIGGER highwater_capture_insert",
        "DROP TRIGGER highwater_capture_truncate ON app.event",
    ] {
        session.batch(harm).await.unwrap();
        let (code, rollup) = status(&db).await;
        assert_eq!(code, 2, "{harm}: {rollup}");
        assert!(rollup["problems"][0].as_str().unwrap().contains("no capture on app.event"), "{rollup}");
        // Changes that nobody saw meanwhile are counted once capture is back.
        session.batch("UPDATE app.event SET amount = amount + 1 WHERE id % 9 = 0").await.unwrap();
        field::add(&mut session, field::DEFINITION).await.unwrap();
        assert_eq!(status(&db).await.0, 0, "{harm}");
        field::assert_exact(&mut session).await;
    }
}

#[tokio::test]
async fn dead_marks_are_shown_with_who_keeps_them() {
    let db = field::complete().await;
    let session = db.session().await;
    let holder = db.session().await;
    holder
        .batch("SET application_name = 'report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM app.event")
        .await
        .unwrap();
    session
        .batch(
            "INSERT INTO highwater.event_hourly_mark (tenant, bucket) SELECT 't', '2024-01-01 00:00+00' FROM generate_series(1, 210000);
             DELETE FROM highwater.event_hourly_mark; SELECT pg_stat_force_next_flush()",
        )
        .await
        .unwrap();
    let seen = "SELECT n_dead_tup > 200000 FROM pg_stat_all_tables WHERE relid = 'highwater.event_hourly_mark'::regclass";
    field::until(&session, "the statistics know", seen).await;
    let (code, rollup) = status(&db).await;
    assert_eq!(code, 1, "{rollup}");
    assert!(
        rollup["dead_marks"].as_i64().unwrap() > 200_000
            && rollup["mark_bytes"].as_i64().unwrap() > 5_000_000,
        "{rollup}"
    );
    let ended = highwater(&db, &["status", "--format", "json"]).await;
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(document["horizon"]["holder"].as_str().unwrap().contains("report"), "{document}");
    assert!(
        rollup["problems"][0].as_str().unwrap().contains("drained marks cannot be cleaned away"),
        "{rollup}"
    );
    holder.batch("COMMIT").await.unwrap();
}
