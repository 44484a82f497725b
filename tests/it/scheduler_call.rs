//! Calls: a run asked for by hand begins at once, and a connection that only seems to listen is found out.

use std::sync::Arc;
use std::time::Duration;

use highwater::db::Executor;
use highwater::db::listen::Listener;
use highwater::db::target::Target;
use highwater::scheduler::call::{self, CHANNEL};
use highwater::scheduler::vitals::{Hearing, Vitals};
use highwater::scheduler::{job, materialise};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::scheduler_site::{bare, job};
use crate::support::TestDb;
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::pooler::PgBouncer;

const INCARNATION: &str = "0a-1";

/// A worker's listening side, as [`call::keep`] runs it.
struct Ear {
    wake: Arc<Notify>,
    vitals: Arc<Vitals>,
    kept: tokio::task::JoinHandle<()>,
}

impl Ear {
    fn new(target: Target, deaf: Duration) -> Ear {
        let (wake, vitals) = (Arc::new(Notify::new()), Arc::new(Vitals::default()));
        let keep =
            call::keep(Arc::new(target), INCARNATION.into(), deaf, Arc::clone(&wake), Arc::clone(&vitals));
        Ear { wake, vitals, kept: tokio::spawn(keep) }
    }

    async fn is_woken(&self, by: &str) {
        timeout(DEADLINE, self.wake.notified()).await.unwrap_or_else(|_| panic!("not woken by {by}"));
    }

    async fn is_found(&self, hearing: Hearing) {
        eventually("what it hears", || (self.vitals.snapshot().hearing == hearing).then_some(())).await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.kept.abort();
    }
}

/// Calls of all workers that a listener hears before a last one of the test's own.
async fn heard(db: &TestDb, listener: &mut Listener) -> usize {
    call::call(&db.session().await, "last").await.unwrap();
    let mut count = 0;
    loop {
        match timeout(DEADLINE, listener.hear()).await.unwrap().unwrap().as_str() {
            "last" => return count,
            CHANNEL => count += 1,
            other => panic!("heard {other}"),
        }
    }
}

#[tokio::test]
async fn a_run_by_hand_wakes_workers_that_sleep() {
    let db = bare().await;
    job(&db, "one", |_| {}).await;
    let ear = Ear::new(db.target(), DEADLINE);
    ear.is_woken("its own beginning, for what came due before").await;
    for _ in 0..3 {
        job::run_now(&db.session().await, "one", None).await.unwrap();
        ear.is_woken("a run by hand").await;
    }
    // Its own trial tells it only that it hears.
    call::call(&db.session().await, &call::own_channel(INCARNATION)).await.unwrap();
    ear.is_found(Hearing::Good).await;
}

#[tokio::test]
async fn a_batch_of_plans_calls_once_and_nothing_due_not_at_all() {
    let db = bare().await;
    for name in ["one", "two", "three"] {
        job(&db, name, |_| {}).await;
    }
    let session = db.session().await;
    let mut listener = Listener::open(&db.target(), "test", &[CHANNEL, "last"]).await.unwrap();
    let behind = "UPDATE highwater.job SET created_at = created_at - interval '10 minutes'";
    session.batch(behind).await.unwrap();
    assert!(materialise::materialise(&session).await.unwrap().due >= 3);
    assert_eq!(heard(&db, &mut listener).await, 1);
    highwater::db::Executor::batch(
        &session,
        "UPDATE highwater.job_scope SET materialised_to = now() + interval '1 day'",
    )
    .await
    .unwrap();
    assert_eq!(materialise::materialise(&session).await.unwrap().due, 0);
    assert_eq!(heard(&db, &mut listener).await, 0);
}

#[tokio::test]
async fn a_listening_connection_that_is_cut_is_made_anew() {
    let db = bare().await;
    let ear = Ear::new(db.target(), DEADLINE);
    ear.is_woken("its beginning").await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'highwater/worker listen'";
    db.session().await.batch(cut).await.unwrap();
    ear.is_woken("its new beginning").await;
}

// Behind a transaction pooler LISTEN succeeds, and nothing is ever heard.
#[tokio::test]
async fn a_connection_that_hears_nothing_is_found_out() {
    let db = bare().await;
    let Some(pooler) = PgBouncer::start(&db, "pool_mode = transaction\ndefault_pool_size = 2").await else {
        return;
    };
    let target = Target::from_url(&pooler.url(&db), "test").unwrap();
    let ear = Ear::new(target, Duration::from_secs(1));
    ear.is_woken("its beginning").await;
    call::call(&db.session().await, &call::own_channel(INCARNATION)).await.unwrap();
    ear.is_found(Hearing::Deaf).await;
}
