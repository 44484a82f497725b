//! A database with highwater's schema and no jobs but those that a test adds.

use std::time::Duration;

use highwater::db::{Executor, Row, Session};
use highwater::scheduler::claim::{self, Claimed, Identity};
use highwater::scheduler::job::{self, Draft, Kind};
use highwater::scheduler::lease::RunId;
use highwater::scheduler::ledger::{self, Plan};

use crate::support::TestDb;
use crate::support::program::highwater;

/// A database as `migrate up` leaves it.
pub async fn migrated() -> TestDb {
    let db = TestDb::empty().await;
    highwater(&db, &["migrate", "up"]).await.success();
    db
}

/// Without the built-in jobs, and with functions that jobs can call.
pub async fn bare() -> TestDb {
    let db = migrated().await;
    let setting = "DELETE FROM highwater.job;
        CREATE TABLE effect (plan_time timestamptz NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE FUNCTION work(plan_time timestamptz) RETURNS text LANGUAGE sql AS
          $$ INSERT INTO effect (plan_time) VALUES ($1) RETURNING 'worked' $$;
        CREATE FUNCTION slow_work(plan_time timestamptz) RETURNS void LANGUAGE sql AS
          $$ INSERT INTO effect (plan_time) VALUES ($1); SELECT pg_sleep(1.5) $$;
        CREATE FUNCTION fails() RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'no luck'; END $$;";
    db.session().await.batch(setting).await.unwrap();
    db
}

/// A job that calls `work` once a minute; `change` makes it another one.
pub async fn job(db: &TestDb, name: &str, change: impl FnOnce(&mut Draft)) {
    let kind = Kind::Sql { function: "work".to_owned() };
    let mut draft = Draft::new(name, kind, Duration::from_secs(60));
    change(&mut draft);
    job::add(&db.session().await, &draft).await.unwrap();
}

/// Puts plans of a job on the ledger that are due, one a minute up to the last minute.
pub async fn due(db: &TestDb, name: &str, count: i32) {
    let statement = format!(
        "INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, next_try_at)
         SELECT name, '', t, 'due', overlap = 'forbid', t
           FROM highwater.job,
                LATERAL (SELECT date_trunc('minute', now()) - n * interval '1 minute' AS t FROM generate_series(1, {count}) AS n) AS times
          WHERE name = '{name}' ORDER BY t"
    );
    db.session().await.batch(&statement).await.unwrap();
}

/// A claimer with an identity of its own.
pub struct Claimer {
    pub session: Session,
    pub identity: Identity,
}

impl Claimer {
    pub async fn new(db: &TestDb, host: &str) -> Claimer {
        let session = db.session().await;
        let identity = Identity::new(&session, host).await.unwrap();
        Claimer { session, identity }
    }

    pub async fn claim(&self, room: usize) -> Vec<Claimed> {
        claim::claim(&self.session, &self.identity, &["builtin", "sql"], room).await.unwrap()
    }

    /// Claims the one plan that can be claimed.
    pub async fn one(&self) -> Claimed {
        let mut claimed = self.claim(10).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }
}

pub async fn plan(db: &TestDb, run: RunId) -> Plan {
    ledger::plan(&db.session().await, run).await.unwrap()
}

/// Lets every lease run out, as if its length had passed.
pub async fn expire(db: &TestDb) {
    let statement = "UPDATE highwater.lease SET lease_until = clock_timestamp() - interval '1 millisecond'";
    db.session().await.batch(statement).await.unwrap();
}

/// Makes plans that wait for another try due now, as if their pause had passed.
pub async fn hurry(db: &TestDb) {
    let statement =
        "UPDATE highwater.plan SET next_try_at = clock_timestamp() WHERE next_try_at > clock_timestamp()";
    db.session().await.batch(statement).await.unwrap();
}

pub async fn row(db: &TestDb, query: &str) -> Row {
    db.session().await.query_one(query, &[]).await.unwrap()
}

pub async fn count(db: &TestDb, query: &str) -> i64 {
    row(db, query).await.get(0)
}

/// Asks until a query counts more than nothing.
pub async fn until(db: &TestDb, query: &str) {
    let session = db.session().await;
    let begun = std::time::Instant::now();
    while session.query_one(query, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {query}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
