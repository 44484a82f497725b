//! What the other tests rely on: a database of one's own, from a template that is built once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use highwater::db::Executor;

use crate::support::{TestDb, program};

#[tokio::test]
async fn tests_do_not_see_each_other() {
    let (one, other) = (TestDb::empty().await, TestDb::empty().await);
    one.session().await.batch("CREATE TABLE mine (id int)").await.unwrap();
    let seen =
        other.session().await.query_one("SELECT pg_catalog.to_regclass('mine')::text", &[]).await.unwrap();
    assert_eq!(seen.get::<_, Option<String>>(0), None);
}

#[tokio::test]
async fn a_template_is_built_once_and_copied() {
    let builds = AtomicU32::new(0);
    let name = format!("isolation-{}", std::process::id());
    let one = || {
        TestDb::from_template(&name, |target| {
            builds.fetch_add(1, Ordering::Relaxed);
            async move {
                let session = highwater::db::connect::connect(&target, "test").await.unwrap();
                session.batch("CREATE TABLE built AS SELECT 42 AS answer").await.unwrap();
            }
        })
    };
    let (first, second, third) = tokio::join!(one(), one(), one());
    assert_eq!(builds.load(Ordering::Relaxed), 1);
    for db in [first, second, third] {
        let row = db.session().await.query_one("SELECT answer FROM built", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 42, "in {}", db.name());
    }
}

#[tokio::test]
async fn the_program_is_given_the_tests_database() {
    let db = TestDb::empty().await;
    assert!(db.target().to_string().contains(db.name()));
    let ended = program::highwater(&db, &["postgres", "no-such-command"]).await;
    assert_eq!(ended.code(), 2, "{ended:?}");
    let running = program::spawn(&db, &["--version"]).ended().await.success();
    assert!(running.stdout.starts_with("highwater "), "{running:?}");
}

/// Prints what a test database costs: `cargo test --test it price_of -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn price_of_a_database() {
    const COPIES: usize = 40;
    let build = async |target: highwater::db::target::Target| {
        let session = highwater::db::connect::connect(&target, "test").await.unwrap();
        for number in 0..25 {
            let table = format!(
                "CREATE TABLE t{number} (id bigint PRIMARY KEY, at timestamptz, name text); \
                 CREATE INDEX ON t{number} (at); CREATE INDEX ON t{number} (name)"
            );
            session.batch(&table).await.unwrap();
        }
    };
    TestDb::from_template("price", build).await;
    let mut costs_ms = Vec::new();
    for _ in 0..COPIES {
        let begun = Instant::now();
        TestDb::from_template("price", build).await;
        costs_ms.push(begun.elapsed().as_millis());
    }
    costs_ms.sort_unstable();
    println!("p50 {} ms, p90 {} ms, max {} ms", costs_ms[20], costs_ms[36], costs_ms[39]);
}
