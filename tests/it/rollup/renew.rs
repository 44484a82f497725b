//! Renewing: a newer highwater brings its functions to the rollups that are there.

use highwater::db::Executor;

use super::field;
use crate::support::TestDb;
use crate::support::program::{Output, highwater};

/// What an older highwater has rendered, as the ledger tells it.
const OLDER: &str = "
UPDATE highwater.rollup SET engine_sha256 = repeat('a', 64), engine_build = '0.0.9' WHERE name = 'event_hourly';";

/// A drain that does nothing.
const IDLE: &str = "
DROP FUNCTION highwater.event_hourly_drain;
CREATE FUNCTION highwater.event_hourly_drain(p_limit integer DEFAULT 20000, p_wait boolean DEFAULT false,
  OUT outcome text, OUT slice_start timestamptz, OUT marks bigint, OUT buckets bigint,
  OUT rows_added bigint, OUT rows_changed bigint, OUT rows_removed bigint, OUT oldest_left timestamptz)
LANGUAGE plpgsql AS $$ BEGIN outcome := 'idle'; END $$;";

async fn status(db: &TestDb) -> Output {
    highwater(db, &["status"]).await
}

/// Upgrades, and changes something to see whether the rollup follows.
async fn renewed(db: &TestDb) {
    let told = status(db).await;
    assert_eq!(told.code(), 1, "{told:?}");
    assert!(
        told.stdout.contains("rendered by highwater 0.0.9") && told.stdout.contains("migrate up"),
        "{told:?}"
    );
    let up = highwater(db, &["migrate", "up"]).await.success();
    assert!(
        up.stdout.contains("event_hourly: functions, views and capture are those of this build now"),
        "{up:?}"
    );
    assert!(!up.stdout.contains("usage_hourly"), "{up:?}");
    let told = status(db).await;
    assert_eq!(told.code(), 0, "{told:?}");
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id % 3 = 0").await.unwrap();
    field::assert_exact(&mut session).await;
    field::assert_same(
        &session,
        "SELECT * FROM highwater.event_hourly_live",
        "SELECT * FROM highwater.event_hourly",
    )
    .await;
    let up = highwater(db, &["migrate", "up"]).await.success();
    assert!(!up.stdout.contains("event_hourly"), "{up:?}");
}

#[tokio::test]
async fn functions_of_an_older_version_are_renewed_by_an_upgrade() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch(&format!("{IDLE}{OLDER}")).await.unwrap();
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id % 5 = 0").await.unwrap();
    highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    assert!(
        !field::differences(&session, field::ROWS, field::TRUTH).await.is_empty(),
        "the older drain does nothing"
    );
    renewed(&db).await;
}

/// Parameters and results may change from version to version: nothing of the old ones is left.
#[tokio::test]
async fn functions_and_views_of_other_columns_are_renewed_and_keep_their_grants() {
    let db = field::complete().await;
    let session = db.session().await;
    session
        .batch(&format!(
            "DROP FUNCTION highwater.event_hourly_read; DROP VIEW highwater.event_hourly_live;
             {}
             CREATE FUNCTION highwater.event_hourly_fill(p_slice timestamptz) RETURNS text LANGUAGE sql AS 'SELECT NULL';
             CREATE VIEW highwater.event_hourly_live AS SELECT 1 AS old; GRANT SELECT ON highwater.event_hourly_live TO PUBLIC;
             {OLDER}",
            IDLE.replace("OUT slice_start timestamptz, ", ""),
        ))
        .await
        .unwrap();
    renewed(&db).await;
    let granted = "SELECT relacl::text LIKE '%{=r/%' OR relacl::text LIKE '%,=r/%' FROM pg_class WHERE oid = 'highwater.event_hourly_live'::regclass";
    assert!(field::is_true(&session, granted).await);
}

#[tokio::test]
async fn what_a_newer_version_has_rendered_is_left_alone() {
    let db = field::complete().await;
    let session = db.session().await;
    session
        .batch(&format!(
            "{IDLE}{OLDER} UPDATE highwater.rollup SET engine_build = '99.0.0' WHERE name = 'event_hourly'"
        ))
        .await
        .unwrap();
    let up = highwater(&db, &["migrate", "up"]).await.success();
    assert!(
        up.stderr.contains("event_hourly: functions are left as they are: a newer highwater, 99.0.0"),
        "{up:?}"
    );
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id = 1").await.unwrap();
    assert_eq!(field::drain(&mut db.session().await, "event_hourly").await.marks, 0);
    // By hand it can be had back.
    field::add(&mut db.session().await, field::DEFINITION).await.unwrap();
    field::assert_exact(&mut db.session().await).await;
}

/// A rollup that cannot be rendered is no reason to hold an upgrade up.
#[tokio::test]
async fn a_rollup_without_its_source_is_left_and_the_upgrade_goes_on() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch(&format!("{OLDER} DROP TABLE app.event CASCADE")).await.unwrap();
    let up = highwater(&db, &["migrate", "up"]).await.success();
    assert!(up.stderr.contains("event_hourly: functions are left as they are: there is no table"), "{up:?}");
}

/// A writer that stays open blocks triggers, but functions need no lock of the source.
#[tokio::test]
async fn renewed_functions_wait_for_no_writer() {
    let db = field::complete().await;
    let session = db.session().await;
    session.batch(&format!("{IDLE}{OLDER}")).await.unwrap();
    let mut writer = db.session().await;
    let open = writer.begin().await.unwrap();
    open.batch("UPDATE app.event SET amount = 5 WHERE id = 5").await.unwrap();
    highwater(&db, &["migrate", "up"]).await.success();
    open.commit().await.unwrap();
    field::assert_exact(&mut db.session().await).await;
}
