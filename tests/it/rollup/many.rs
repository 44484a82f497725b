//! Many rollups over few sources, and a worker that has room for less of them than there are.

use highwater::db::Executor;
use nix::sys::signal::Signal;

use super::field::{self, define};
use crate::support::program::spawn;
use crate::support::scale::scaled;

const ROLLUPS_PER_SOURCE: usize = 3;

#[tokio::test]
async fn no_rollup_starves_where_a_worker_has_fewer_places_than_there_are_rollups() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let sources = scaled(2, 20);
    let (hours, statements) = (scaled(20, 500), scaled(5, 20));
    let mut names = Vec::new();
    for source in 0..sources {
        let table = format!("app.many_{source}");
        session
            .batch(&format!(
                "CREATE SCHEMA IF NOT EXISTS app;
                 CREATE TABLE {table} (tenant text NOT NULL, at timestamptz NOT NULL, key text, amount bigint);
                 CREATE INDEX ON {table} (tenant, at); CREATE INDEX ON {table} (at)"
            ))
            .await
            .unwrap();
        for number in 0..ROLLUPS_PER_SOURCE {
            let name = format!("many_{source}_of_{number}_hourly");
            field::add(&mut session, &define(&name, &table, "at", Some("tenant"), "1h")).await.unwrap();
            names.push((name, table.clone()));
        }
    }
    // A place is given up when its plan's time is over: a minute, made short here for all jobs that fill it.
    session
        .batch("UPDATE highwater.job SET cadence = interval '2 seconds' WHERE name IN ('drain', 'backups', 'notify')")
        .await
        .unwrap();
    let tx = session.begin().await.unwrap();
    for source in 0..sources {
        tx.batch(&format!(
            "DO $$ BEGIN FOR n IN 1..{statements} LOOP
               INSERT INTO app.many_{source} SELECT 't' || h % 5, timestamptz '2024-02-01 00:10+00' + h * interval '3 hours', 'k' || n, h
                 FROM generate_series(1, {hours}) AS h;
             END LOOP; END $$"
        ))
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    let worker = spawn(&db, &["worker", "--listen", "127.0.0.1:0", "--concurrency", "2"]);
    for (name, table) in &names {
        field::until(
            &session,
            "the marks of each are drained",
            &format!(
                "SELECT NOT EXISTS (SELECT FROM highwater.{name}_mark) AND EXISTS (SELECT FROM highwater.{name})"
            ),
        )
        .await;
        field::assert_same(
            &session,
            &format!("SELECT tenant, bucket, key, amount, events FROM highwater.{name}"),
            &format!("SELECT tenant, date_trunc('hour', at, 'UTC'), key, sum(amount)::bigint, count(*) FROM {table} GROUP BY 1, 2, 3"),
        )
        .await;
    }
    worker.signal(Signal::SIGTERM);
    worker.ended().await.success();
}
