//! What comes onto the ledger, what is skipped and why, and what leaves it again.

use std::time::Duration;

use futures_util::future::join_all;
use highwater::db::Executor;
use highwater::scheduler::SchedulerError;
use highwater::scheduler::job::{self, Draft, Kind};
use highwater::scheduler::materialise::{Made, materialise};
use highwater::scheduler::outcome::Outcome;
use highwater::scheduler::planner::CatchUp;
use highwater::scheduler::prune;

use crate::scheduler_site::{Claimer, bare, count, due, job, row};
use crate::support::TestDb;

const MINUTE: Duration = Duration::from_secs(60);

/// As if the scope had last been planned `minutes` and a half ago.
async fn missed(db: &TestDb, name: &str, minutes: i32) {
    let statement = format!(
        "INSERT INTO highwater.job_scope (job, scope, materialised_to)
         VALUES ('{name}', '', date_trunc('minute', now()) - interval '{minutes} minutes')
         ON CONFLICT (job, scope) DO UPDATE SET materialised_to = excluded.materialised_to"
    );
    db.session().await.batch(&statement).await.unwrap();
}

async fn states(db: &TestDb) -> Vec<String> {
    let query = "SELECT state || coalesce(': ' || why, '') FROM highwater.plan ORDER BY plan_time";
    db.session().await.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_new_job_begins_with_its_next_plan_time() {
    let db = bare().await;
    job(&db, "new", |_| {}).await;
    let session = db.session().await;
    // Unless the minute turned between the two lines.
    let before = row(&db, "SELECT date_trunc('minute', created_at) = date_trunc('minute', clock_timestamp()) FROM highwater.job").await;
    let made = materialise(&session).await.unwrap();
    assert!(made == Made::default() || !before.get::<_, bool>(0), "{made:?}");
}

#[tokio::test]
async fn every_missed_plan_time_runs_oldest_first_within_the_cap() {
    let db = bare().await;
    job(&db, "every", |draft| {
        draft.catch_up = CatchUp::Every;
        draft.catch_up_cap = 2;
    })
    .await;
    missed(&db, "every", 5).await;
    let session = db.session().await;
    let claimer = Claimer::new(&db, "host").await;
    let mut ran = Vec::new();
    for _ in 0..8 {
        let made = materialise(&session).await.unwrap();
        assert!(
            made.due <= 2 && count(&db, "SELECT count(*) FROM highwater.plan WHERE state = 'due'").await <= 2
        );
        for claimed in claimer.claim(10).await {
            ran.push(claimed.plan_time);
            let end = highwater::scheduler::finish::Ended {
                run: claimed.run,
                token: claimed.token,
                outcome: Outcome::Done(serde_json::Value::Null),
            };
            highwater::scheduler::finish::finish(&session, &[end]).await.unwrap();
        }
    }
    assert!(ran.len() >= 5 && ran.is_sorted(), "{ran:?}");
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.plan WHERE state <> 'done'").await, 0);
}

#[tokio::test]
async fn the_newest_covers_what_was_missed_and_the_ledger_says_so() {
    let db = bare().await;
    job(&db, "latest", |draft| draft.catch_up_window = 10 * MINUTE).await;
    missed(&db, "latest", 3).await;
    materialise(&db.session().await).await.unwrap();
    let found = states(&db).await;
    assert!(
        found[0].starts_with("skipped: covered by the plan of 20") && found[0].ends_with("UTC"),
        "{found:?}"
    );
    assert_eq!(found.last().unwrap(), "due");
    // The one that still waits is covered by the next one in turn.
    let statement = "DELETE FROM highwater.plan WHERE state = 'skipped';
                     UPDATE highwater.plan SET plan_time = plan_time - interval '1 minute', next_try_at = next_try_at - interval '1 minute'";
    db.session().await.batch(statement).await.unwrap();
    missed(&db, "latest", 1).await;
    materialise(&db.session().await).await.unwrap();
    let found = states(&db).await;
    assert!(found[0].starts_with("skipped: covered by") && found.last().unwrap() == "due", "{found:?}");
}

#[tokio::test]
async fn beyond_the_window_one_row_tells_of_all() {
    let db = bare().await;
    job(&db, "late", |draft| {
        draft.catch_up = CatchUp::Every;
        draft.catch_up_window = 2 * MINUTE;
    })
    .await;
    missed(&db, "late", 600).await;
    materialise(&db.session().await).await.unwrap();
    let found = states(&db).await;
    assert!(found[0].starts_with("skipped: outside the catch-up window; 59"), "{found:?}");
    assert!(found.len() <= 4 && found[1..].iter().all(|state| state == "due"), "{found:?}");
}

#[tokio::test]
async fn a_paused_job_is_skipped_on_record_and_its_plans_wait() {
    let db = bare().await;
    job(&db, "paused", |_| {}).await;
    due(&db, "paused", 1).await;
    let session = db.session().await;
    job::pause(&session, "paused", true).await.unwrap();
    missed(&db, "paused", 3).await;
    db.session()
        .await
        .batch("DELETE FROM highwater.plan WHERE plan_time >= now() - interval '20 seconds'")
        .await
        .unwrap();
    materialise(&session).await.unwrap();
    let skipped = "SELECT count(*) FROM highwater.plan WHERE state = 'skipped' AND why LIKE 'the job is paused; % plan times up to %'";
    assert_eq!(count(&db, skipped).await, 1);
    let claimer = Claimer::new(&db, "host").await;
    assert!(claimer.claim(10).await.is_empty());
    job::pause(&session, "paused", false).await.unwrap();
    claimer.one().await;
}

#[tokio::test]
async fn eight_planners_at_once_write_each_plan_once() {
    let db = bare().await;
    for name in ["one", "two", "three"] {
        job(&db, name, |draft| draft.catch_up = CatchUp::Every).await;
        missed(&db, name, 40).await;
    }
    let sessions = join_all((0..8).map(|_| db.session())).await;
    let made = join_all(sessions.iter().map(materialise)).await;
    let made: i64 = made.into_iter().map(|made| made.unwrap().due).sum();
    assert_eq!(made, count(&db, "SELECT count(*) FROM highwater.plan").await);
    let gaps = "SELECT count(*) FROM highwater.job_scope AS s
                 WHERE (SELECT count(*) FROM highwater.plan AS p WHERE p.job = s.job)
                       <> extract(epoch FROM s.materialised_to - (SELECT min(plan_time) FROM highwater.plan AS p WHERE p.job = s.job)) / 60 + 1";
    assert_eq!(count(&db, gaps).await, 0, "a plan for every minute up to the cursor");
}

// A cursor taken from the newest plan would skip what a run by hand has overtaken.
#[tokio::test]
async fn a_run_by_hand_does_not_move_the_cursor() {
    let db = bare().await;
    job(&db, "hand", |draft| draft.catch_up = CatchUp::Every).await;
    let session = db.session().await;
    let made = job::run_now(&session, "hand", None).await.unwrap();
    assert_eq!(made.len(), 1);
    missed(&db, "hand", 4).await;
    assert!(materialise(&session).await.unwrap().due >= 4);
    let by_hand = row(&db, "SELECT why FROM highwater.plan WHERE why IS NOT NULL").await;
    assert!(by_hand.get::<_, String>(0).starts_with("run-now by "));
    let unknown = job::run_now(&session, "hand", Some("nowhere")).await.unwrap_err();
    assert!(matches!(unknown, SchedulerError::UnknownScope { .. }), "{unknown}");
}

#[tokio::test]
async fn old_plans_go_and_the_newest_and_the_window_stay() {
    let db = bare().await;
    job(&db, "old", |_| {}).await;
    let ages = "INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, finished_at, error)
                SELECT 'old', '', now() - n * interval '10 days', CASE WHEN n % 2 = 0 THEN 'done' ELSE 'failed' END, true,
                       now() - n * interval '10 days', 'none'
                  FROM generate_series(4, 12) AS n";
    let session = db.session().await;
    session.batch(ages).await.unwrap();
    assert_eq!(prune::plans(&session).await.unwrap(), 6);
    let left = session
        .query("SELECT (extract(epoch FROM now() - plan_time) / 86400)::int AS age FROM highwater.plan ORDER BY 1", &[])
        .await
        .unwrap();
    // Successes are kept for 30 days, failures for 90; the newest is a success of 40 days and stays all the same.
    assert_eq!(left.iter().map(|row| row.get::<_, i32>("age")).collect::<Vec<_>>(), [40, 50, 70]);
    session.batch("UPDATE highwater.job SET catch_up_window = '1 year', keep_failed = '0'").await.unwrap();
    assert_eq!(prune::plans(&session).await.unwrap(), 0, "the window is kept");
}

#[tokio::test]
async fn a_job_that_makes_no_sense_is_refused_in_words() {
    let db = bare().await;
    let session = db.session().await;
    let work = || Kind::Sql { function: "work".into() };
    let mut uncapped = Draft::new("uncapped", work(), MINUTE);
    uncapped.catch_up_cap = 0;
    for (draft, words) in [
        (Draft::new("Bad Name", work(), MINUTE), "lower-case letters"),
        (Draft::new("fast", work(), Duration::from_millis(10)), "at least a second"),
        (
            Draft::new("lost", Kind::Sql { function: "no.such".into() }, MINUTE),
            "there is no function no.such()",
        ),
        (uncapped, "between 1 and 10,000"),
    ] {
        let refused = job::add(&session, &draft).await.unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let draft = Draft::new("twice", work(), MINUTE);
    job::add(&session, &draft).await.unwrap();
    let refused = job::add(&session, &draft).await.unwrap_err();
    assert!(matches!(refused, SchedulerError::JobExists { .. }), "{refused}");
    let refused = job::drop(&session, "nobody").await.unwrap_err();
    assert!(matches!(refused, SchedulerError::UnknownJob { .. }), "{refused}");
}
