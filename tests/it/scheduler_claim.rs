//! Claim, steal, finish and retry: one winner a plan, and nothing from those who lost. Comments say what the scheduler
//! did from which these rules were learnt.

use std::time::Duration;

use futures_util::future::join_all;
use highwater::db::Executor;
use highwater::scheduler::finish::{Answer, Ended, finish, finish_bare};
use highwater::scheduler::job::Kind;
use highwater::scheduler::outcome::Outcome;
use highwater::scheduler::state::State;
use highwater::scheduler::{claim::Claimed, heartbeat, sweep};
use serde_json::json;

use crate::scheduler_site::{Claimer, bare, count, due, expire, hurry, job, plan, row};
use crate::support::TestDb;

fn ended(claimed: &Claimed, outcome: Outcome) -> Ended {
    Ended { run: claimed.run, token: claimed.token, outcome }
}

async fn end(claimer: &Claimer, claimed: &Claimed, outcome: Outcome) -> Answer {
    finish(&claimer.session, &[ended(claimed, outcome)]).await.unwrap()[0].1
}

async fn swept(db: &TestDb) -> Vec<State> {
    sweep::sweep(&db.session().await).await.unwrap().iter().map(|one| one.state).collect()
}

#[tokio::test]
async fn of_eight_claimers_one_gets_the_plan() {
    let db = bare().await;
    job(&db, "one", |_| {}).await;
    due(&db, "one", 1).await;
    let claimers = join_all((0..8).map(|_| Claimer::new(&db, "host"))).await;
    let claims = join_all(claimers.iter().map(|claimer| claimer.claim(10))).await;
    let winners: Vec<usize> = (0..8).filter(|&number| !claims[number].is_empty()).collect();
    assert_eq!(winners.len(), 1, "{claims:?}");
    let winner = &claimers[winners[0]];
    let claimed = &claims[winners[0]][0];
    let plan = plan(&db, claimed.run).await;
    assert_eq!((plan.state, plan.attempts, plan.token), (State::Running, 1, Some(claimed.token.0)));
    assert_eq!(plan.worker.as_deref(), Some(winner.identity.name.as_str()));
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.plan").await, 1);
}

#[tokio::test]
async fn a_stolen_run_is_the_thiefs_and_the_zombie_changes_nothing() {
    let db = bare().await;
    job(&db, "one", |_| {}).await;
    due(&db, "one", 1).await;
    let (zombie, thief) = (Claimer::new(&db, "zombie").await, Claimer::new(&db, "thief").await);
    let before = zombie.one().await;
    assert!(thief.claim(10).await.is_empty(), "the lease is good");
    expire(&db).await;
    assert_eq!(swept(&db).await, [State::Retrying]);
    let after = thief.one().await;
    assert_eq!(after.run, before.run);
    assert!(after.token > before.token);
    // A crash costs no attempt: it is counted apart.
    assert_eq!((after.attempts, after.crash_attempts), (1, 1));
    let standing = plan(&db, after.run).await;
    for outcome in [Outcome::Done(json!(1)), Outcome::Failed("late".into()), Outcome::Stopped] {
        assert_eq!(end(&zombie, &before, outcome).await, Answer::Lost);
    }
    let beat =
        heartbeat::beat(&zombie.session, &zombie.identity.incarnation, &[(before.run, before.token)]).await;
    assert_eq!(beat.unwrap().lost, [before.run]);
    assert_eq!(plan(&db, after.run).await, standing);
    assert_eq!(
        end(&thief, &after, Outcome::Done(json!({"rows": 7}))).await,
        Answer::Finished(Some(State::Done))
    );
    let done = plan(&db, after.run).await;
    assert_eq!((done.state, done.result), (State::Done, Some(json!({"rows": 7}))));
    assert_eq!(done.worker, standing.worker);
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.lease").await, 0);
}

// k4: a job that must not run again after a crash was claimed again at once, because the sweep left no retry time and
// the claim took that for "now".
#[tokio::test]
async fn what_must_not_run_again_after_a_crash_does_not() {
    let db = bare().await;
    job(&db, "once", |draft| draft.max_crashes = 1).await;
    due(&db, "once", 1).await;
    let claimer = Claimer::new(&db, "host").await;
    let claimed = claimer.one().await;
    expire(&db).await;
    assert_eq!(swept(&db).await, [State::Poisoned]);
    assert!(claimer.claim(10).await.is_empty());
    let poisoned = plan(&db, claimed.run).await;
    assert!(poisoned.error.unwrap().contains("went quiet"), "it says why");
    assert!(poisoned.finished_at.is_some());
}

#[tokio::test]
async fn a_plan_that_takes_its_workers_along_is_poisoned() {
    let db = bare().await;
    job(&db, "poison", |draft| draft.max_crashes = 3).await;
    due(&db, "poison", 1).await;
    let mut states = Vec::new();
    for _ in 0..3 {
        hurry(&db).await;
        Claimer::new(&db, "victim").await.one().await;
        expire(&db).await;
        states.extend(swept(&db).await);
    }
    assert_eq!(states, [State::Retrying, State::Retrying, State::Poisoned]);
    let counts = row(&db, "SELECT attempts, crash_attempts FROM highwater.plan").await;
    assert_eq!((counts.get::<_, i32>(0), counts.get::<_, i32>(1)), (0, 3));
}

// k8: only the newest row was looked at, so that an older plan that had failed was never tried again.
#[tokio::test]
async fn an_older_failure_is_retried_although_newer_plans_are_done() {
    let db = bare().await;
    job(&db, "every", |draft| draft.backoff = Duration::from_secs(300)).await;
    due(&db, "every", 3).await;
    let claimer = Claimer::new(&db, "host").await;
    let first = claimer.one().await;
    assert_eq!(
        end(&claimer, &first, Outcome::Failed("no luck".into())).await,
        Answer::Finished(Some(State::Retrying))
    );
    let waits =
        "SELECT count(*) FROM highwater.plan WHERE state = 'retrying' AND error = 'no luck' AND attempts = 1
                    AND next_try_at BETWEEN now() + interval '4 minutes' AND now() + interval '5 minutes'";
    assert_eq!(count(&db, waits).await, 1);
    for _ in 0..2 {
        let next = claimer.one().await;
        assert!(next.plan_time > first.plan_time);
        end(&claimer, &next, Outcome::Done(json!(null))).await;
    }
    assert!(claimer.claim(10).await.is_empty(), "the pause is kept");
    hurry(&db).await;
    let again = claimer.one().await;
    assert_eq!((again.run, again.plan_time, again.attempts), (first.run, first.plan_time, 2));
    end(&claimer, &again, Outcome::Failed("no luck".into())).await;
    hurry(&db).await;
    let last = claimer.one().await;
    assert_eq!(
        end(&claimer, &last, Outcome::Failed("still none".into())).await,
        Answer::Finished(Some(State::Failed))
    );
    hurry(&db).await;
    assert!(claimer.claim(10).await.is_empty(), "three attempts are all");
}

// k5: leases were stamped with the time at which the round had begun, so that a plan claimed after a long sibling was
// born with a lease that had run out.
#[tokio::test]
async fn a_lease_begins_when_its_claim_does() {
    let db = bare().await;
    job(&db, "one", |_| {}).await;
    due(&db, "one", 1).await;
    let mut claimer = Claimer::new(&db, "host").await;
    let tx = claimer.session.begin().await.unwrap();
    tx.batch("SELECT pg_sleep(1)").await.unwrap();
    let claimed = highwater::scheduler::claim::claim(&tx, &claimer.identity, &["sql"], 1).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let left = "SELECT extract(epoch FROM lease_until - now())::float8 FROM highwater.lease";
    let left: f64 = tx.query_one(left, &[]).await.unwrap().get(0);
    assert!(left >= 16.0, "fifteen seconds after the transaction's first second: {left}");
}

// k6: errors were cut inside a character, and texts with NUL refused, so that the row stayed running until it was stale.
#[tokio::test]
async fn no_text_keeps_an_end_from_being_recorded() {
    let db = bare().await;
    job(&db, "one", |draft| {
        draft.max_attempts = 1;
        draft.allows_overlap = true;
    })
    .await;
    due(&db, "one", 4).await;
    let claimer = Claimer::new(&db, "host").await;
    let claimed = claimer.claim(4).await;
    let outcomes = [
        Outcome::Failed("漢".repeat(10_000)),
        Outcome::Failed("nul \0 nul".into()),
        Outcome::Done(json!({"text": "nul \0 nul"})),
        Outcome::Done(json!("x".repeat(100_000))),
    ];
    for (claimed, outcome) in claimed.iter().zip(outcomes) {
        assert!(matches!(end(&claimer, claimed, outcome).await, Answer::Finished(Some(_))));
    }
    let cut = plan(&db, claimed[0].run).await;
    assert_eq!((cut.state, cut.error.unwrap().chars().count()), (State::Failed, 4_001));
    assert_eq!(plan(&db, claimed[1].run).await.error.unwrap(), "nul \u{fffd} nul");
    assert_eq!(plan(&db, claimed[2].run).await.result.unwrap(), json!({"text": "nul \u{fffd} nul"}));
    assert_eq!(plan(&db, claimed[3].run).await.result.unwrap(), json!({"omitted_bytes": 100_002}));
}

#[tokio::test]
async fn an_end_that_is_refused_is_recorded_bare() {
    let db = bare().await;
    job(&db, "one", |_| {}).await;
    due(&db, "one", 1).await;
    let claimer = Claimer::new(&db, "host").await;
    let claimed = claimer.one().await;
    let answer =
        finish_bare(&claimer.session, &ended(&claimed, Outcome::Done(json!("odd"))), "refused").await;
    assert_eq!(answer.unwrap(), Answer::Finished(Some(State::Done)));
    assert_eq!(plan(&db, claimed.run).await.result.unwrap(), json!({"unrecorded": "refused"}));
}

#[tokio::test]
async fn a_scope_that_forbids_overlap_runs_one_plan_at_a_time_oldest_first() {
    let db = bare().await;
    job(&db, "forbid", |_| {}).await;
    job(&db, "allow", |draft| draft.allows_overlap = true).await;
    due(&db, "forbid", 5).await;
    due(&db, "allow", 5).await;
    let claimers = join_all((0..4).map(|_| Claimer::new(&db, "host"))).await;
    let claims: Vec<Claimed> =
        join_all(claimers.iter().map(|claimer| claimer.claim(100))).await.into_iter().flatten().collect();
    assert_eq!(claims.iter().filter(|one| one.job == "allow").count(), 5);
    let forbidding: Vec<_> = claims.iter().filter(|one| one.job == "forbid").collect();
    assert_eq!(forbidding.len(), 1);
    let oldest = row(&db, "SELECT min(plan_time) FROM highwater.plan WHERE job = 'forbid'").await;
    assert_eq!(forbidding[0].plan_time, oldest.get::<_, chrono::DateTime<chrono::Utc>>(0));
    // Whatever claimers believe, the index says no.
    let second =
        "UPDATE highwater.plan SET state = 'running', next_try_at = NULL, token = 0, started_at = now()
                   WHERE job = 'forbid' AND state = 'due'";
    let refused = db.session().await.batch(second).await.unwrap_err();
    assert_eq!(refused.server().unwrap().constraint.as_deref(), Some("plan_one_running"));
}

#[tokio::test]
async fn a_run_that_is_given_back_keeps_its_attempt() {
    let db = bare().await;
    job(&db, "one", |_| {}).await;
    due(&db, "one", 1).await;
    let claimer = Claimer::new(&db, "host").await;
    for _ in 0..5 {
        let claimed = claimer.one().await;
        assert_eq!(claimed.attempts, 1);
        assert_eq!(end(&claimer, &claimed, Outcome::Stopped).await, Answer::Finished(Some(State::Due)));
    }
}

#[tokio::test]
async fn one_slow_finish_does_not_delay_the_renewals_of_others() {
    let db = bare().await;
    job(&db, "many", |draft| draft.allows_overlap = true).await;
    due(&db, "many", 3).await;
    let claimer = Claimer::new(&db, "host").await;
    let claimed = claimer.claim(3).await;
    let held: Vec<_> = claimed.iter().map(|one| (one.run, one.token)).collect();
    // A run that is working under its fence is renewed like any other.
    let mut other = db.session().await;
    let tx = other.begin().await.unwrap();
    let fence = include_str!("../../sql/scheduler/fence.sql");
    assert_eq!(tx.query(fence, &[&held[0].0.0, &held[0].1.0]).await.unwrap().len(), 1);
    let incarnation = &claimer.identity.incarnation;
    let answers = heartbeat::beat(&claimer.session, incarnation, &held).await.unwrap();
    assert_eq!(answers.renewed, [held[0].0, held[1].0, held[2].0]);
    // One that has deleted its lease and not committed is finishing; nobody waits for it.
    let own = include_str!("../../sql/scheduler/finish_own.sql");
    assert_eq!(tx.query(own, &[&held[0].0.0, &held[0].1.0, &""]).await.unwrap().len(), 1);
    let beat = heartbeat::beat(&claimer.session, incarnation, &held);
    let answers = tokio::time::timeout(Duration::from_secs(5), beat).await.expect("no waiting").unwrap();
    assert_eq!((answers.finishing, answers.renewed), (vec![held[0].0], vec![held[1].0, held[2].0]));
    // Nor can anyone end it twice.
    assert_eq!(end(&claimer, &claimed[0], Outcome::Failed("too".into())).await, Answer::Locked);
    tx.commit().await.unwrap();
    assert_eq!(plan(&db, held[0].0).await.state, State::Done);
    assert_eq!(end(&claimer, &claimed[0], Outcome::Failed("too".into())).await, Answer::Lost);
}

#[tokio::test]
async fn without_a_lease_the_fence_lets_nothing_through() {
    let db = bare().await;
    job(&db, "one", |_| {}).await;
    due(&db, "one", 1).await;
    let claimer = Claimer::new(&db, "host").await;
    let claimed = claimer.one().await;
    let fence = include_str!("../../sql/scheduler/fence.sql");
    let pass =
        async |token: i64| claimer.session.query(fence, &[&claimed.run.0, &token]).await.unwrap().len();
    assert_eq!((pass(claimed.token.0).await, pass(claimed.token.0 - 1).await), (1, 0));
    expire(&db).await;
    assert_eq!(pass(claimed.token.0).await, 0, "run out, though nobody has taken it yet");
    assert_eq!(end(&claimer, &claimed, Outcome::Done(json!(null))).await, Answer::Lost);
}

#[tokio::test]
async fn a_worker_takes_only_the_kinds_that_it_runs() {
    let db = bare().await;
    job(&db, "program", |draft| draft.kind = Kind::Command { words: vec!["/bin/true".into()] }).await;
    due(&db, "program", 1).await;
    let claimer = Claimer::new(&db, "host").await;
    assert!(claimer.claim(10).await.is_empty());
    let allowed =
        highwater::scheduler::claim::claim(&claimer.session, &claimer.identity, &["command"], 10).await;
    assert_eq!(allowed.unwrap()[0].kind, Kind::Command { words: vec!["/bin/true".into()] });
}
