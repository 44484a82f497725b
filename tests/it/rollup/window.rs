//! The window function: the one way to rewrite a range by hand.

use highwater::db::Executor;

use super::field::{self, ROWS, TRUTH};

const JUNE: &str = "SELECT highwater.event_hourly_window('2024-06-01 00:00+00', '2024-07-01 00:00+00')";

#[tokio::test]
async fn a_window_twice_is_a_window_once() {
    let db = field::seeded().await;
    let session = db.session().await;
    assert!(field::number(&session, JUNE).await > 100);
    let june = "bucket >= '2024-06-01 00:00+00' AND bucket < '2024-07-01 00:00+00'";
    let truth = format!("SELECT * FROM ({TRUTH}) AS t WHERE {june}");
    field::assert_same(&session, ROWS, &truth).await;
    assert_eq!(field::number(&session, JUNE).await, 0);
    field::assert_same(&session, ROWS, &truth).await;
    assert_eq!(
        field::number(
            &session,
            "SELECT attempts::bigint FROM highwater.rollup_slice WHERE slice_start = '2024-06-01 00:00+00'"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_window_returns_the_rows_it_had_to_change() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session
        .batch("DELETE FROM highwater.event_hourly WHERE bucket >= '2024-06-03 00:00+00' AND bucket < '2024-06-04 00:00+00';
                UPDATE highwater.event_hourly SET events = 0 WHERE bucket >= '2024-06-04 00:00+00' AND bucket < '2024-06-05 00:00+00';
                INSERT INTO highwater.event_hourly VALUES ('ghost', '2024-06-30 23:00+00', 'k', 1, 1, 1), ('ghost', '2024-07-01 00:00+00', 'k', 1, 1, 1)")
        .await
        .unwrap();
    // Eight events a day, one of the ghosts: the other begins where the window ends.
    assert_eq!(field::number(&session, JUNE).await, 17);
    assert_eq!(field::differences(&session, ROWS, TRUTH).await.len(), 1);
    let rest = "SELECT highwater.event_hourly_window('2024-07-01 00:00+00', '2024-07-01 01:00+00')";
    assert_eq!(field::number(&session, rest).await, 1);
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_window_over_many_months_fills_and_rebuilds_and_takes_their_marks() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    session.batch(JUNE).await.unwrap();
    session
        .batch("UPDATE app.event SET amount = amount + 1; INSERT INTO app.event (tenant, at, amount) VALUES ('t', '2023-12-31 23:00+00', 1), ('t', '2024-07-15', 1)")
        .await
        .unwrap();
    session
        .batch("SELECT highwater.event_hourly_window('2023-12-01 00:00+00', '2024-07-10 00:00+00')")
        .await
        .unwrap();
    // Pending months that the window touches are filled whole; months that it does not touch stay pending.
    let reached = format!("SELECT * FROM ({TRUTH}) AS t WHERE bucket < '2024-08-01 00:00+00'");
    field::assert_same(&session, ROWS, &reached).await;
    assert_eq!(
        field::number(
            &session,
            "SELECT count(*) FROM highwater.event_hourly_mark WHERE bucket < '2024-08-01 00:00+00'"
        )
        .await,
        0
    );
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn a_window_that_is_off_the_grain_or_empty_is_refused() {
    let db = field::complete().await;
    let session = db.session().await;
    let cases = [
        ("'2024-06-01 00:00+00', '2024-06-02 00:30+00'", "not a bucket boundary"),
        ("'2024-06-01 00:00:00.000001+00', '2024-06-02 00:00+00'", "not a bucket boundary"),
        ("'2024-06-01 00:00+05:30', '2024-06-02 00:00+05:30'", "not a bucket boundary"),
        ("'-infinity', '2024-06-02 00:00+00'", "not a bucket boundary"),
        ("'2024-06-01 00:00+00', 'infinity'", "not a bucket boundary"),
        ("'2024-06-01 00:00+00', '2024-06-01 00:00+00'", "is empty"),
        ("'2024-06-02 00:00+00', '2024-06-01 00:00+00'", "is empty"),
        ("NULL, '2024-06-01 00:00+00'", "is empty"),
    ];
    for (range, reason) in cases {
        let refused = session
            .batch(&format!("SELECT highwater.event_hourly_window({range})"))
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(reason) && refused.contains("event_hourly"), "{range}: {refused}");
    }
}

#[tokio::test]
async fn a_callers_time_zone_and_date_style_do_not_matter() {
    let db = field::seeded().await;
    let mut session = db.session().await;
    session
        .batch(
            "SET TimeZone = 'America/New_York'; SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'",
        )
        .await
        .unwrap();
    session
        .batch("SELECT highwater.event_hourly_window('2024-01-01 00:00+00', '2024-09-01 00:00+00')")
        .await
        .unwrap();
    session
        .batch("UPDATE app.event SET amount = 3 WHERE id % 3 = 0; SELECT highwater.event_hourly_drain()")
        .await
        .unwrap();
    // The ledger's checks hold in any zone, or a dump could not be restored.
    session.batch("UPDATE highwater.rollup_slice SET attempts = attempts").await.unwrap();
    session.batch("RESET TimeZone; RESET DateStyle; RESET IntervalStyle").await.unwrap();
    field::assert_exact(&mut session).await;
}

#[tokio::test]
async fn windows_and_drains_at_once_do_not_disturb_each_other() {
    let db = field::complete().await;
    let mut session = db.session().await;
    session.batch("UPDATE app.event SET amount = amount + 1 WHERE id % 2 = 0").await.unwrap();
    let (one, other, mut third) = (db.session().await, db.session().await, db.session().await);
    let whole = "SELECT highwater.event_hourly_window('2024-01-01 00:00+00', '2024-09-01 00:00+00')";
    let (first, second, _) =
        tokio::join!(one.batch(whole), other.batch(whole), field::drain(&mut third, "event_hourly"));
    first.unwrap();
    second.unwrap();
    field::assert_exact(&mut session).await;
}
