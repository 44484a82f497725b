//! Random histories: several sessions with transactions that overlap in every way, and the engine at work between
//! their statements. At each quiet point the rollup is what GROUP BY says.

use highwater::db::{Executor, Session};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::field;
use crate::support::TestDb;

const WRITERS: usize = 3;

/// Small enough that transactions meet in buckets, large enough to span months with and without slices.
const DAYS: u8 = 100;

#[derive(Debug, Clone)]
enum Step {
    Begin { writer: usize },
    Insert { writer: usize, day: u8, tenant: u8, key: u8 },
    Amount { writer: usize, tenant: u8 },
    Time { writer: usize, tenant: u8, days: u8 },
    Key { writer: usize, tenant: u8, key: u8 },
    Tenant { writer: usize, from: u8, to: u8 },
    Delete { writer: usize, tenant: u8, key: u8 },
    Savepoint { writer: usize },
    RollbackTo { writer: usize },
    Commit { writer: usize },
    Rollback { writer: usize },
    Truncate,
    Pass { limit: u8 },
    Expand,
    Fill { month: u8 },
    Restart { month: u8 },
    Window { day: u8, days: u8 },
    Quiet,
}

fn step() -> impl Strategy<Value = Step> {
    let (writer, day, tenant, key) = (0..WRITERS, 0..DAYS, 0..3u8, 0..3u8);
    prop_oneof![
        6 => writer.clone().prop_map(|writer| Step::Begin { writer }),
        12 => (writer.clone(), day.clone(), tenant.clone(), key.clone()).prop_map(|(writer, day, tenant, key)| Step::Insert { writer, day, tenant, key }),
        4 => (writer.clone(), tenant.clone()).prop_map(|(writer, tenant)| Step::Amount { writer, tenant }),
        4 => (writer.clone(), tenant.clone(), 1..60u8).prop_map(|(writer, tenant, days)| Step::Time { writer, tenant, days }),
        3 => (writer.clone(), tenant.clone(), key.clone()).prop_map(|(writer, tenant, key)| Step::Key { writer, tenant, key }),
        2 => (writer.clone(), tenant.clone(), tenant.clone()).prop_map(|(writer, from, to)| Step::Tenant { writer, from, to }),
        3 => (writer.clone(), tenant, key).prop_map(|(writer, tenant, key)| Step::Delete { writer, tenant, key }),
        3 => writer.clone().prop_map(|writer| Step::Savepoint { writer }),
        2 => writer.clone().prop_map(|writer| Step::RollbackTo { writer }),
        5 => writer.clone().prop_map(|writer| Step::Commit { writer }),
        2 => writer.prop_map(|writer| Step::Rollback { writer }),
        1 => Just(Step::Truncate),
        6 => (1..5u8).prop_map(|limit| Step::Pass { limit }),
        2 => Just(Step::Expand),
        3 => (0..6u8).prop_map(|month| Step::Fill { month }),
        1 => (0..6u8).prop_map(|month| Step::Restart { month }),
        2 => (day, 1..40u8).prop_map(|(day, days)| Step::Window { day, days }),
        2 => Just(Step::Quiet),
    ]
}

/// A writer's session and what it has open.
struct Writer {
    session: Session,
    is_open: bool,
    savepoints: u32,
}

struct World {
    writers: Vec<Writer>,
    engine: Session,
}

impl World {
    async fn of(db: &TestDb) -> World {
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let session = db.session().await;
            // Each writer touches rows of its own, so that no statement waits for another writer's end.
            let own = format!("SET highwater_test.writer = '{number}'; SET TimeZone = 'Asia/Kathmandu'");
            session.batch(&own).await.unwrap();
            writers.push(Writer { session, is_open: false, savepoints: 0 });
        }
        World { writers, engine: db.session().await }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Begin { writer } => self.begin(writer).await,
            Step::Insert { writer, day, tenant, key } => {
                let values = format!(
                    "INSERT INTO app.event (tenant, at, key, note, amount) SELECT 't{tenant}', {}, nullif('k{key}', 'k0'), {MINE}, n FROM generate_series(1, 3) AS n",
                    instant(day)
                );
                self.write(writer, &values).await;
            }
            Step::Amount { writer, tenant } => {
                self.write(writer, &format!("UPDATE app.event SET amount = amount + 1 WHERE tenant = 't{tenant}' AND note = {MINE}")).await;
            }
            Step::Time { writer, tenant, days } => {
                self.write(writer, &format!("UPDATE app.event SET at = at + {days} * interval '1 day' WHERE tenant = 't{tenant}' AND note = {MINE} AND id % 2 = 0")).await;
            }
            Step::Key { writer, tenant, key } => {
                self.write(
                    writer,
                    &format!(
                        "UPDATE app.event SET key = 'k{key}' WHERE tenant = 't{tenant}' AND note = {MINE}"
                    ),
                )
                .await;
            }
            Step::Tenant { writer, from, to } => {
                self.write(
                    writer,
                    &format!(
                        "UPDATE app.event SET tenant = 't{to}' WHERE tenant = 't{from}' AND note = {MINE}"
                    ),
                )
                .await;
            }
            Step::Delete { writer, tenant, key } => {
                self.write(writer, &format!("DELETE FROM app.event WHERE tenant = 't{tenant}' AND key = 'k{key}' AND note = {MINE}")).await;
            }
            Step::Savepoint { writer } if self.writers[writer].is_open => {
                self.write(writer, "SAVEPOINT s").await;
                self.writers[writer].savepoints += 1;
            }
            Step::RollbackTo { writer } if self.writers[writer].savepoints > 0 => {
                self.write(writer, "ROLLBACK TO s").await
            }
            Step::Savepoint { .. } | Step::RollbackTo { .. } => {}
            Step::Commit { writer } => self.end(writer, "COMMIT").await,
            Step::Rollback { writer } => self.end(writer, "ROLLBACK").await,
            // It would wait for whoever has the table open.
            Step::Truncate => {
                if self.writers.iter().all(|writer| !writer.is_open) {
                    self.engine.batch("TRUNCATE app.event").await.unwrap();
                }
            }
            Step::Pass { limit } => self.call(&format!("drain({limit})")).await,
            Step::Expand => self.call("expand()").await,
            Step::Fill { month } => {
                self.call(&format!("fill(timestamptz '2023-12-01 00:00+00' + {month} * interval '1 month')"))
                    .await
            }
            Step::Restart { month } => {
                let again = format!(
                    "UPDATE highwater.rollup_slice SET state = 'pending' WHERE slice_start = timestamptz '2023-12-01 00:00+00' + {month} * interval '1 month'"
                );
                self.engine.batch(&again).await.unwrap();
            }
            Step::Window { day, days } => {
                let from = format!("timestamptz '2023-12-20 00:00+00' + {day} * interval '1 day'");
                self.call(&format!("window({from}, {from} + {days} * interval '1 day')")).await;
            }
            Step::Quiet => self.quiet().await,
        }
    }

    async fn begin(&mut self, writer: usize) {
        if !self.writers[writer].is_open {
            // Every isolation level that an application may use.
            let level = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"][writer];
            self.write(writer, &format!("BEGIN ISOLATION LEVEL {level}")).await;
            self.writers[writer].is_open = true;
        }
    }

    async fn end(&mut self, writer: usize, word: &str) {
        if self.writers[writer].is_open {
            self.write(writer, word).await;
            self.writers[writer].is_open = false;
            self.writers[writer].savepoints = 0;
        }
    }

    async fn write(&self, writer: usize, statement: &str) {
        self.writers[writer]
            .session
            .batch(statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    async fn call(&self, function: &str) {
        self.engine
            .batch(&format!("SELECT highwater.event_hourly_{function}"))
            .await
            .unwrap_or_else(|error| panic!("{function}: {error}"));
    }

    /// Every transaction has ended, every pending month is filled, every mark is drained.
    async fn quiet(&mut self) {
        for writer in 0..WRITERS {
            self.end(writer, "COMMIT").await;
        }
        self.call("census()").await;
        self.call("expand()").await;
        self.call("fill(slice_start) FROM highwater.rollup_slice WHERE rollup = 'event_hourly'").await;
        field::assert_exact(&mut self.engine).await;
    }
}

/// What marks a writer's own rows.
const MINE: &str = "current_setting('highwater_test.writer')";

fn instant(day: u8) -> String {
    format!("timestamptz '2023-12-20 10:00+00' + {day} * interval '23 hours'")
}

#[test]
fn every_history_ends_in_what_group_by_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let histories = (any::<bool>(), prop::collection::vec(step(), 10..60));
    let proven = runner.run(&histories, |(has_history, steps)| {
        runtime.block_on(async {
            let db = installed(has_history).await;
            let mut world = World::of(&db).await;
            for step in &steps {
                world.take(step).await;
            }
            world.quiet().await;
        });
        Ok(())
    });
    proven.unwrap_or_else(|error| panic!("{error}"));
}

/// With rows from before the installation there is something to backfill; without any, the rollup is complete from the
/// start and every month is new to it.
async fn installed(has_history: bool) -> TestDb {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(field::SOURCE).await.unwrap();
    if has_history {
        let history = format!(
            "INSERT INTO app.event (tenant, at, key, note, amount) SELECT 't' || n % 3, {} + n * interval '2 days', 'k1', n % {WRITERS}, n
               FROM generate_series(1, 40) AS n",
            instant(0)
        );
        session.batch(&history).await.unwrap();
    }
    field::add(&mut session, field::DEFINITION).await.unwrap();
    db
}

/// Thirty, or as many as PROPTEST_CASES says.
fn cases() -> u32 {
    Config::default().cases.min(if std::env::vars_os().any(|(name, _)| name == "PROPTEST_CASES") {
        u32::MAX
    } else {
        30
    })
}
