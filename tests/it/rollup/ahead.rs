//! Coming months are there before anything is written to them.

use highwater::db::Executor;
use highwater::rollup::{RollupName, ledger};

use super::field;

const COMING: &str = "SELECT count(*) FROM highwater.rollup_slice
 WHERE rollup = 'event_hourly' AND state = 'complete' AND rows = 0 AND slice_start >= date_trunc('month', now(), 'UTC')";

#[tokio::test]
async fn coming_months_are_made_beside_readers_and_need_nothing_when_they_come() {
    let name = RollupName::parse("event_hourly").unwrap();
    let db = field::seeded().await;
    let mut session = db.session().await;
    assert_eq!(
        ledger::ahead(&session, &name).await.unwrap(),
        0,
        "before the census nobody knows that they are empty"
    );
    field::backfill(&db, &Default::default()).await.unwrap();
    // A reader that stays is not waited for, and a new one does not wait.
    let reader = db.session().await;
    reader.batch("BEGIN; SELECT count(*) FROM highwater.event_hourly").await.unwrap();
    session.batch("SET lock_timeout = '5s'").await.unwrap();
    assert_eq!(ledger::ahead(&session, &name).await.unwrap(), 3);
    assert_eq!(ledger::ahead(&session, &name).await.unwrap(), 0);
    reader.batch("SELECT count(*) FROM highwater.event_hourly; COMMIT").await.unwrap();
    assert_eq!(field::number(&session, COMING).await, 3);
    // Nothing is covered by them, and nothing has to be compared.
    assert_eq!(field::verify(&db, "event_hourly").await.slices, field::MONTHS as usize + 1);

    let pass = "SELECT outcome FROM highwater.event_hourly_drain()";
    session
        .batch("INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', now() + interval '1 month', 'k', 1)")
        .await
        .unwrap();
    assert_eq!(field::text(&session, pass).await.as_deref(), Some("drained"), "no expansion comes first");
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn without_a_worker_the_turn_of_the_month_makes_the_next_one() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session
        .batch("INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', now(), 'k', 1)")
        .await
        .unwrap();
    field::assert_exact(&mut session).await;
    assert_eq!(field::number(&session, COMING).await, 1);
}
