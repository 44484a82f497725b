//! Random histories around prunes: writers with open transactions, drains, fills, windows, TRUNCATE, and batches of a prune
//! between their statements. The live view is exact at every step, the table at every quiet point.

use highwater::db::{Executor, Session};
use highwater::ground::shutdown;
use highwater::rollup::watch::Open;
use highwater::rollup::{RollupName, prune};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::ageing::{DEFINITION, LIVE, ROWS, TRUTH};
use super::field;
use crate::support::TestDb;

const WRITERS: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    Begin { writer: usize },
    Insert { writer: usize, month: u8, hour: u8, tenant: u8, amount: i8 },
    Amount { writer: usize, tenant: u8, amount: i8 },
    Move { writer: usize, tenant: u8, months: i8 },
    Delete { writer: usize, tenant: u8 },
    Commit { writer: usize },
    Rollback { writer: usize },
    Truncate,
    Prune { batch: u8 },
    Pass { limit: u8 },
    Restart { month: u8 },
    Window { month: u8 },
    Quiet,
}

fn step() -> impl Strategy<Value = Step> {
    let (writer, month, tenant, amount) = (0..WRITERS, 0..7u8, 0..2u8, -9..9i8);
    prop_oneof![
        4 => writer.clone().prop_map(|writer| Step::Begin { writer }),
        10 => (writer.clone(), month.clone(), 0..6u8, tenant.clone(), amount.clone())
            .prop_map(|(writer, month, hour, tenant, amount)| Step::Insert { writer, month, hour, tenant, amount }),
        4 => (writer.clone(), tenant.clone(), amount).prop_map(|(writer, tenant, amount)| Step::Amount { writer, tenant, amount }),
        3 => (writer.clone(), tenant.clone(), -3..3i8).prop_map(|(writer, tenant, months)| Step::Move { writer, tenant, months }),
        2 => (writer.clone(), tenant).prop_map(|(writer, tenant)| Step::Delete { writer, tenant }),
        5 => writer.clone().prop_map(|writer| Step::Commit { writer }),
        2 => writer.prop_map(|writer| Step::Rollback { writer }),
        1 => Just(Step::Truncate),
        8 => (1..9u8).prop_map(|batch| Step::Prune { batch }),
        5 => (1..5u8).prop_map(|limit| Step::Pass { limit }),
        2 => month.clone().prop_map(|month| Step::Restart { month }),
        2 => month.prop_map(|month| Step::Window { month }),
        2 => Just(Step::Quiet),
    ]
}

struct World {
    writers: Vec<(Session, bool)>,
    engine: Session,
}

/// Months before the current one; those from the third on are sealed under a `keep_source` of 60 days.
fn start_of(month: u8) -> String {
    format!("(date_trunc('month', now(), 'UTC') - {month} * interval '1 month')")
}

impl World {
    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Begin { writer } => {
                if !self.writers[writer].1 {
                    self.write(writer, "BEGIN").await;
                    self.writers[writer].1 = true;
                }
            }
            Step::Insert { writer, month, hour, tenant, amount } => {
                let statement = format!(
                    "WITH new AS (INSERT INTO app.event (tenant, at, key, note, amount)
                       SELECT 't{tenant}', {} + {hour} * interval '25 minutes', nullif('k' || n, 'k1'), '{writer}', {amount} + n
                         FROM generate_series(1, 2) AS n RETURNING *)
                     INSERT INTO app.truth SELECT * FROM new",
                    start_of(month)
                );
                self.write(writer, &statement).await;
            }
            Step::Amount { writer, tenant, amount } => {
                self.change(writer, tenant, &format!("amount = {amount}")).await
            }
            Step::Move { writer, tenant, months } => {
                self.change(writer, tenant, &format!("at = at + {months} * interval '1 month'")).await;
            }
            Step::Delete { writer, tenant } => {
                let statement = format!(
                    "WITH gone AS (DELETE FROM app.event WHERE tenant = 't{tenant}' AND note = '{writer}' AND id % 3 = 0 RETURNING id)
                     DELETE FROM app.truth WHERE id IN (SELECT id FROM gone)"
                );
                self.write(writer, &statement).await;
            }
            Step::Commit { writer } => self.end(writer, "COMMIT").await,
            Step::Rollback { writer } => self.end(writer, "ROLLBACK").await,
            Step::Truncate => {
                if self.writers.iter().all(|(_, is_open)| !is_open) {
                    let both = "BEGIN; DELETE FROM app.truth WHERE id IN (SELECT id FROM app.event); TRUNCATE app.event; COMMIT";
                    self.engine.batch(both).await.unwrap();
                }
            }
            Step::Prune { batch } => self.prune(u32::from(batch)).await,
            Step::Pass { limit } => self.call(&format!("drain({limit})")).await,
            Step::Restart { month } => {
                let again = format!(
                    "UPDATE highwater.rollup_slice SET state = 'pending' WHERE rollup = 'event_hourly' AND slice_start = {}",
                    start_of(month)
                );
                self.engine.batch(&again).await.unwrap();
            }
            Step::Window { month } => {
                self.call(&format!("window({0}, {0} + interval '35 days')", start_of(month))).await;
            }
            Step::Quiet => self.quiet().await,
        }
        field::assert_same(&self.engine, LIVE, TRUTH).await;
    }

    /// The source tells which of its rows are changed; the truth follows.
    async fn change(&self, writer: usize, tenant: u8, set: &str) {
        let statement = format!(
            "WITH changed AS (UPDATE app.event SET {set} WHERE tenant = 't{tenant}' AND note = '{writer}' RETURNING id)
             UPDATE app.truth SET {set} WHERE id IN (SELECT id FROM changed)"
        );
        self.write(writer, &statement).await;
    }

    async fn prune(&mut self, batch: u32) {
        let name = RollupName::parse("event_hourly").unwrap();
        let (_trigger, shutdown) = shutdown::channel();
        let options = prune::Options { dry_run: false, batch };
        prune::run(&mut self.engine, &name, options, &Open, &shutdown).await.unwrap();
    }

    async fn write(&self, writer: usize, statement: &str) {
        let (session, _) = &self.writers[writer];
        session.batch(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    async fn end(&mut self, writer: usize, word: &str) {
        if self.writers[writer].1 {
            self.write(writer, word).await;
            self.writers[writer].1 = false;
        }
    }

    async fn call(&self, function: &str) {
        let called = self.engine.batch(&format!("SELECT highwater.event_hourly_{function}")).await;
        called.unwrap_or_else(|error| panic!("{function}: {error}"));
    }

    async fn quiet(&mut self) {
        for writer in 0..WRITERS {
            self.end(writer, "COMMIT").await;
        }
        self.call("expand()").await;
        self.call("fill(slice_start) FROM highwater.rollup_slice WHERE rollup = 'event_hourly'").await;
        field::drain(&mut self.engine, "event_hourly").await;
        field::assert_same(&self.engine, ROWS, TRUTH).await;
    }
}

#[test]
fn every_history_with_prunes_ends_in_what_ever_happened() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let proven = runner.run(&prop::collection::vec(step(), 10..50), |steps| {
        runtime.block_on(async {
            let (_db, mut world) = world().await;
            for step in &steps {
                world.take(step).await;
            }
            world.quiet().await;
            // Everything that is old enough goes in the end, and nothing changes.
            world.prune(7).await;
            world.quiet().await;
        });
        Ok(())
    });
    proven.unwrap_or_else(|error| panic!("{error}"));
}

async fn world() -> (TestDb, World) {
    let db = field::migrated().await;
    let mut engine = db.session().await;
    engine.batch(field::SOURCE).await.unwrap();
    let history = format!(
        "INSERT INTO app.event (tenant, at, key, note, amount) SELECT 't' || n % 2, {} + n * interval '5 hours', 'k2', n % {WRITERS}, n
           FROM generate_series(1, 60) AS n;
         CREATE TABLE app.truth AS SELECT * FROM app.event",
        start_of(6)
    );
    engine.batch(&history).await.unwrap();
    field::add(&mut engine, DEFINITION).await.unwrap();
    engine
        .batch(
            "SELECT highwater.event_hourly_census();
             SELECT highwater.event_hourly_fill(slice_start) FROM highwater.rollup_slice WHERE rollup = 'event_hourly'",
        )
        .await
        .unwrap();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push((db.session().await, false));
    }
    (db, World { writers, engine })
}

/// Eight, or as many as PROPTEST_CASES says.
fn cases() -> u32 {
    let is_said = std::env::vars_os().any(|(name, _)| name == "PROPTEST_CASES");
    Config::default().cases.min(if is_said { u32::MAX } else { 8 })
}
