//! A backfill that is killed again and again, under writers, with one transaction open from before it to after it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use highwater::db::{Executor, Session};
use nix::sys::signal::Signal;

use super::field;
use crate::support::program::{highwater, spawn};

/// Twenty-four months with enough rows that a kill falls inside a slice.
const HISTORY: &str = "
INSERT INTO app.event (tenant, at, key, note, amount)
SELECT 't' || n % 7, timestamptz '2022-01-01 00:00+00' + n * interval '420 seconds', CASE WHEN n % 4 > 0 THEN 'k' || n % 4 END, 'note ' || n % 5, n
  FROM generate_series(1, 150000) AS n;
ANALYZE app.event;";

/// Writes at random, to rows that the late transaction does not hold, until told to stop; every statement commits by itself, some are rolled back.
async fn write(session: Session, seed: u32, stop: &AtomicBool) -> u32 {
    let mut state = seed;
    let mut random = move |below: u32| {
        // Numerical Recipes' generator: repeatable, and good enough to scatter rows.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut statements = 0;
    while !stop.load(Ordering::Relaxed) {
        let (id, day) = (random(130_000 - 100), random(730));
        let change = match random(6) {
            0 | 1 => format!(
                "INSERT INTO app.event (tenant, at, key, amount) SELECT 't' || n, timestamptz '2022-01-01 00:00+00' + {day} * interval '1 day', 'late', n FROM generate_series(1, 9) AS n"
            ),
            2 => format!(
                "UPDATE app.event SET amount = amount + 1, key = 'k9' WHERE id BETWEEN {id} AND {id} + 20"
            ),
            3 => format!(
                "UPDATE app.event SET at = at + interval '40 days' WHERE id BETWEEN {id} AND {id} + 5"
            ),
            4 => format!("DELETE FROM app.event WHERE id BETWEEN {id} AND {id} + 5"),
            _ => format!("BEGIN; DELETE FROM app.event WHERE id BETWEEN {id} AND {id} + 50; ROLLBACK"),
        };
        session.batch(&change).await.unwrap();
        statements += 1;
    }
    statements
}

#[tokio::test]
async fn a_backfill_killed_three_times_under_writers_loses_nothing_and_repeats_no_slice() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(&format!("{}{HISTORY}", field::SOURCE)).await.unwrap();
    field::add(&mut session, field::DEFINITION).await.unwrap();
    let mut late = db.session().await;
    let open = late.begin().await.unwrap();
    open.batch(
        "UPDATE app.event SET amount = -1 WHERE id > 130000 AND id % 200 = 0; DELETE FROM app.event WHERE id > 130000 AND id % 200 = 1;
         INSERT INTO app.event (tenant, at, key, amount) VALUES ('t1', '2022-06-06', 'open', 1), ('t1', '2031-01-01', 'open', 1)",
    )
    .await
    .unwrap();
    let stop = AtomicBool::new(false);
    let (one, other) = (db.session().await, db.session().await);
    let killing = async {
        let watcher = db.session().await;
        for (wanted, delay_ms) in [(2, 15), (7, 40), (12, 3)] {
            let running = spawn(&db, &["backfill", "event_hourly", "--parallel", "2"]);
            let enough = format!(
                "SELECT count(*) >= {wanted} FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'complete'"
            );
            field::until(&watcher, "some slices are complete", &enough).await;
            // Somewhere inside the next slices.
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            running.signal(Signal::SIGKILL);
            assert!(running.ended().await.status.code().is_none());
        }
        let pending =
            "SELECT count(*) FROM highwater.rollup_slice WHERE rollup = 'event_hourly' AND state = 'pending'";
        assert!(field::number(&watcher, pending).await > 0, "the kills came too late");
        highwater(&db, &["backfill", "event_hourly", "--parallel", "2"]).await.success();
        stop.store(true, Ordering::Relaxed);
    };
    let ((), first, second) = tokio::join!(killing, write(one, 1, &stop), write(other, 2, &stop));
    assert!(first > 10 && second > 10, "the writers slept: {first}, {second}");
    open.commit().await.unwrap();
    highwater(&db, &["rollup", "drain", "event_hourly"]).await.success();
    highwater(&db, &["rollup", "verify", "event_hourly"]).await.success();
    field::assert_exact(&mut session).await;
    assert_eq!(
        field::number(
            &session,
            "SELECT max(attempts)::bigint FROM highwater.rollup_slice WHERE rollup = 'event_hourly'"
        )
        .await,
        1
    );
}
