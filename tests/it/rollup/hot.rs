//! A bucket that is written to all the time rests between computations, and nobody waits for it.

use highwater::db::Executor;

use super::field;

/// Statements, each of which leaves a mark.
fn stream(hour: &str, statements: u32) -> String {
    format!(
        "DO $$ BEGIN FOR n IN 1..{statements} LOOP
           INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '{hour}', 'k2', n);
         END LOOP; END $$"
    )
}

#[tokio::test]
async fn a_hot_bucket_rests_and_the_others_do_not_wait_for_it() {
    let db = field::complete().await;
    let mut session = db.session().await;
    // The hot one is the oldest, in a month of its own and beside another one.
    session.batch(&stream("2024-02-10 05:10+00", 600)).await.unwrap();
    session.batch(&stream("2024-02-11 05:10+00", 1)).await.unwrap();
    session.batch(&stream("2024-03-11 05:10+00", 499)).await.unwrap();
    let patient = "SELECT outcome || ' ' || marks || ' ' || is_abreast FROM highwater.event_hourly_drain(20000, false, '1 hour')";
    assert_eq!(field::text(&session, patient).await.as_deref(), Some("drained 1 false"));
    assert_eq!(field::text(&session, patient).await.as_deref(), Some("drained 499 false"));
    assert_eq!(field::text(&session, patient).await.as_deref(), Some("busy 0 true"));
    assert_eq!(field::number(&session, "SELECT count(*) FROM highwater.event_hourly_mark").await, 600);
    assert!(
        field::is_true(
            &session,
            "SELECT watermark_at <= (SELECT min(marked_at) FROM highwater.event_hourly_mark) FROM highwater.rollup WHERE name = 'event_hourly'"
        )
        .await,
        "the watermark tells the truth about it"
    );
    // Its time has come.
    session
        .batch("UPDATE highwater.event_hourly_mark SET marked_at = marked_at - interval '1 hour'")
        .await
        .unwrap();
    assert_eq!(field::text(&session, patient).await.as_deref(), Some("drained 600 true"));
    field::assert_exact(&mut session).await;
    // Whoever drains by hand waits for no rest.
    session.batch(&stream("2024-02-10 05:10+00", 600)).await.unwrap();
    field::assert_exact(&mut session).await;
}
