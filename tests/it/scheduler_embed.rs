//! The worker inside an application: handlers in code, their fence, and whose jobs they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highwater::db::Executor;
use highwater::ground::shutdown::{self, Trigger};
use highwater::scheduler::SchedulerError;
use highwater::scheduler::job;
use highwater::scheduler::ledger;
use highwater::scheduler::worker::End;
use highwater::{Ended, JobSpec, Scopes, Worker};
use nix::sys::signal::Signal;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::scheduler_site::{bare, count, due, expire, hurry, job as sql_job, migrated, row, until};
use crate::support::TestDb;
use crate::support::program::{highwater, spawn};

#[path = "../../examples/embed_worker.rs"]
#[expect(dead_code, reason = "main() is the example's own")]
mod embed_worker;

const DAY: Duration = Duration::from_secs(86_400);

/// A worker in this process.
struct Embedded {
    trigger: Trigger,
    task: JoinHandle<Result<End, SchedulerError>>,
}

fn start(db: &TestDb, application: &str, jobs: Vec<JobSpec>) -> Embedded {
    let builder = Worker::builder(db.target()).application(application);
    let worker = jobs.into_iter().fold(builder, |builder, job| builder.job(job)).build().unwrap();
    let (trigger, shutdown) = shutdown::channel();
    Embedded { trigger, task: tokio::spawn(async move { worker.run(&shutdown).await }) }
}

impl Embedded {
    async fn end(self) -> Result<End, SchedulerError> {
        self.trigger.raise();
        self.task.await.unwrap()
    }
}

/// Registers jobs as a start of their application does, and ends at once.
async fn register(db: &TestDb, application: &str, jobs: Vec<JobSpec>) -> Result<(), SchedulerError> {
    let session = &mut db.session().await;
    highwater::scheduler::code::program::Program::new(application, Vec::new(), jobs)?.register(session).await
}

/// A job that never runs by itself: its plan times lie a day apart, and tests make their own.
fn idle(name: &str) -> JobSpec {
    JobSpec::every(name, DAY, |_| async { Ok(Ended::done(())) })
}

async fn run_now(db: &TestDb, name: &str) {
    job::run_now(&db.session().await, name, None).await.unwrap();
}

#[tokio::test]
async fn the_example_keeps_a_rollup_current_and_its_jobs_effect_is_one_commit_with_its_end() {
    let db = migrated().await;
    let (trigger, shutdown) = shutdown::channel();
    let target = db.target();
    let task = tokio::spawn(async move { embed_worker::work(target, &shutdown).await });
    until(&db, "SELECT count(*) FROM highwater.job WHERE name = 'receipt' AND application = 'shop'").await;
    let order = "INSERT INTO shop_order (shop, amount) VALUES ('north', 3), ('north', 4)";
    db.session().await.batch(order).await.unwrap();
    let counted =
        "SELECT count(*) FROM highwater.shop_order_hourly WHERE shop = 'north' AND amount = 7 AND orders = 2";
    until(&db, counted).await;
    run_now(&db, "receipt").await;
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'receipt' AND why LIKE 'run-now%' AND state = 'done'").await;
    let both = "SELECT count(*) FROM highwater.plan AS plan JOIN receipt ON receipt.minute = plan.plan_time
                 WHERE plan.why LIKE 'run-now%' AND plan.result ->> 'orders' = receipt.orders::text AND receipt.orders = 2";
    assert_eq!(count(&db, both).await, 1);
    trigger.raise();
    assert_eq!(task.await.unwrap().unwrap(), End::Drained);
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.lease").await, 0);
}

#[tokio::test]
async fn a_handler_that_lost_its_lease_writes_nothing_and_another_attempt_writes_once() {
    let db = bare().await;
    let (written, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let tries = Arc::new(AtomicUsize::new(0));
    let (written_too, go_on_too, tries_too) = (Arc::clone(&written), Arc::clone(&go_on), Arc::clone(&tries));
    let slow = JobSpec::every("slow", DAY, move |run| {
        let (written, go_on, tries) =
            (Arc::clone(&written_too), Arc::clone(&go_on_too), Arc::clone(&tries_too));
        async move {
            let is_first = tries.fetch_add(1, Ordering::SeqCst) == 0;
            let mut session = run.session().await?;
            if is_first {
                // Between the claim and the fence: as if the process had been frozen for longer than its lease.
                written.notify_one();
                go_on.notified().await;
            }
            let tx = session.begin().await?;
            tx.query("INSERT INTO effect (plan_time) VALUES ($1)", &[&run.plan_time()]).await?;
            Ok(tx.finish("written").await?)
        }
    });
    register(&db, "app", vec![slow.clone()]).await.unwrap();
    run_now(&db, "slow").await;
    let embedded = start(&db, "app", vec![slow]);
    written.notified().await;
    expire(&db).await;
    go_on.notify_one();
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'slow' AND state = 'done'").await;
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    assert_eq!(count(&db, "SELECT count(*) FROM effect").await, 1);
    let plan =
        row(&db, "SELECT attempts, crash_attempts, result #>> '{}' FROM highwater.plan WHERE job = 'slow'")
            .await;
    assert_eq!((plan.get::<_, i32>(0), plan.get::<_, i32>(1), plan.get::<_, &str>(2)), (1, 1, "written"));
    embedded.end().await.unwrap();
}

#[tokio::test]
async fn an_unfinished_transaction_is_rolled_back_and_its_failure_is_on_record() {
    let db = bare().await;
    let fails = JobSpec::every("fails", DAY, |run| async move {
        let mut session = run.session().await?;
        let tx = session.begin().await?;
        tx.query("INSERT INTO effect (plan_time) VALUES ($1)", &[&run.plan_time()]).await?;
        if run.attempt() < 3 {
            return Err(format!("no luck at attempt {}", run.attempt()).into());
        }
        panic!("and then this")
    })
    .backoff(Duration::from_millis(1));
    register(&db, "app", vec![fails.clone()]).await.unwrap();
    run_now(&db, "fails").await;
    let embedded = start(&db, "app", vec![fails]);
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'fails' AND state = 'failed'").await;
    let plan = row(&db, "SELECT attempts, error FROM highwater.plan WHERE job = 'fails'").await;
    assert_eq!((plan.get::<_, i32>(0), plan.get::<_, &str>(1)), (3, "panicked: and then this"));
    assert_eq!(count(&db, "SELECT count(*) FROM effect").await, 0);
    embedded.end().await.unwrap();
}

#[tokio::test]
async fn workers_without_the_handler_leave_the_job_alone() {
    let db = bare().await;
    register(&db, "app", vec![idle("ours")]).await.unwrap();
    sql_job(&db, "everybodys", |_| {}).await;
    run_now(&db, "ours").await;
    let plain = spawn(&db, &["worker", "--listen", "127.0.0.1:0"]);
    let other = start(&db, "other", vec![idle("theirs")]);
    until(&db, "SELECT count(*) FROM highwater.job WHERE name = 'theirs'").await;
    // Whoever takes what was made due later has seen ours, and passed it over.
    for name in ["everybodys", "theirs"] {
        run_now(&db, name).await;
        until(&db, &format!("SELECT count(*) FROM highwater.plan WHERE job = '{name}' AND state = 'done'"))
            .await;
    }
    let untouched =
        "SELECT count(*) FROM highwater.plan WHERE job = 'ours' AND state = 'due' AND token IS NULL";
    assert_eq!(count(&db, untouched).await, 1);
    let listed = highwater(&db, &["job", "list"]).await.success();
    assert!(listed.stdout.contains("ours"), "{listed:?}");
    let ours = start(&db, "app", vec![idle("ours")]);
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'ours' AND state = 'done'").await;
    ours.end().await.unwrap();
    other.end().await.unwrap();
    plain.signal(Signal::SIGTERM);
    plain.ended().await.success();
}

#[tokio::test]
async fn a_changed_job_is_brought_to_its_code_and_a_persons_pause_stays() {
    let db = bare().await;
    register(&db, "app", vec![idle("one"), idle("two")]).await.unwrap();
    let session = db.session().await;
    job::pause(&session, "one", true).await.unwrap();
    let changed = idle("one")
        .timeout(Duration::from_secs(7))
        .catch_up_every(Duration::from_secs(3600), 5)
        .allow_overlap()
        .max_attempts(9)
        .scopes(Scopes::Listed(vec!["eu".to_owned(), "us".to_owned()]));
    // "two" is not in the code any more: another version may still have it, so it stays.
    register(&db, "app", vec![changed]).await.unwrap();
    let jobs = ledger::jobs(&session, None).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let one = &jobs[0];
    assert_eq!(
        (one.timeout_ms, one.catch_up.as_str(), one.catch_up_cap, one.overlap.as_str(), one.max_attempts),
        (7_000, "every", 5, "allow", 9)
    );
    assert!(one.paused_at.is_some());
    assert_eq!(job::run_now(&session, "one", None).await.unwrap().len(), 2, "one plan for each scope");
    let unknown = job::run_now(&session, "one", Some("asia")).await.unwrap_err();
    assert!(matches!(unknown, SchedulerError::UnknownScope { .. }), "{unknown}");
    // A scope that the code has dropped leaves no plan that waits for ever.
    let statement = "INSERT INTO highwater.job_scope (job, scope, materialised_to) VALUES ('one', 'eu', now()), ('one', 'us', now())";
    session.batch(statement).await.unwrap();
    register(&db, "app", vec![idle("one").scopes(Scopes::Listed(vec!["eu".to_owned()])), idle("two")])
        .await
        .unwrap();
    assert_eq!(highwater::scheduler::prune::scopes(&session).await.unwrap(), 1);
    let why = row(&db, "SELECT scope || ': ' || why FROM highwater.plan WHERE state = 'skipped'").await;
    assert_eq!(why.get::<_, &str>(0), "us: the job has no such scope any more");
}

#[tokio::test]
async fn a_name_that_is_anothers_is_refused_and_nothing_is_written() {
    let db = bare().await;
    sql_job(&db, "shared", |_| {}).await;
    register(&db, "first", vec![idle("mine")]).await.unwrap();
    for (name, owner) in [("shared", "a job of kind sql"), ("mine", "application \"first\"")] {
        let refused = register(&db, "second", vec![idle("fresh"), idle(name)]).await.unwrap_err();
        let words = refused.to_string();
        assert!(words.contains(owner) && words.contains(&format!("job drop {name}")), "{words}");
    }
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.job WHERE name = 'fresh'").await, 0);
    let embedded = start(&db, "second", vec![idle("mine")]);
    let refused = embedded.task.await.unwrap().unwrap_err();
    assert!(matches!(refused, SchedulerError::JobTaken { .. }), "{refused}");
    for (jobs, words) in [
        (vec![idle("twice"), idle("twice")], "given twice"),
        (vec![idle("Bad Name")], "lower-case letters"),
        (vec![idle("nowhere").scopes(Scopes::Listed(Vec::new()))], "at least one"),
    ] {
        let refused = register(&db, "app", jobs).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn a_handler_asked_to_end_gives_its_attempt_back() {
    let db = bare().await;
    let waits = JobSpec::every("waits", DAY, |run| async move {
        run.shutdown().at_least(shutdown::Urgency::Soon).await;
        Ok(Ended::given_back())
    });
    register(&db, "app", vec![waits.clone()]).await.unwrap();
    due(&db, "waits", 1).await;
    let embedded = start(&db, "app", vec![waits]);
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'waits' AND state = 'running'").await;
    assert_eq!(embedded.end().await.unwrap(), End::Drained);
    hurry(&db).await;
    let plan =
        row(&db, "SELECT state, attempts, crash_attempts FROM highwater.plan WHERE job = 'waits'").await;
    assert_eq!((plan.get::<_, &str>(0), plan.get::<_, i32>(1), plan.get::<_, i32>(2)), ("due", 0, 0));
}
