//! Marks by hand, for loads that no trigger saw.

use highwater::db::Executor;

use super::field::{self, LIVE, TRUTH, assert_same};
use crate::support::program::highwater;

#[tokio::test]
async fn a_load_without_triggers_is_right_after_a_mark_and_a_drain() {
    let db = field::complete().await;
    let session = db.session().await;
    session
        .batch(
            "SET session_replication_role = replica;
             INSERT INTO app.event (tenant, at, amount) VALUES ('t1', '2024-02-02 10:20+00', 1), ('t1', '2022-07-02 10:20+00', 1);
             DELETE FROM app.event WHERE at < '2024-01-09 00:00+00' AND at >= '2024-01-08 00:00+00';
             RESET session_replication_role",
        )
        .await
        .unwrap();
    let empty =
        highwater(&db, &["rollup", "mark", "event_hourly", "--from", "2024-02", "--to", "2024-01"]).await;
    assert!(empty.code() == 2 && empty.stderr.contains("is empty"), "{empty:?}");
    let marked = highwater(
        &db,
        &["rollup", "mark", "event_hourly", "--from", "2022-01", "--to", "2024-02-02T10:20:01Z"],
    )
    .await
    .success();
    assert!(marked.stdout.contains("to 2024-02-02 11:00:00 UTC, 1 new months found"), "{marked:?}");
    assert_same(&session, LIVE, TRUTH, "after the mark").await;
    highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    assert_same(&session, LIVE, TRUTH, "after the drain").await;
    assert_same(&session, &LIVE.replace("_live", ""), TRUTH, "the table after the drain").await;
}
