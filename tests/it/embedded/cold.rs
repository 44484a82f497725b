//! Starting from nothing, attaching, looking, stopping.

use highwater::db::Executor;
use nix::sys::signal::Signal;

use super::site::{Site, send, session};
use crate::support::eventually::eventually;
use crate::support::{TestDb, program};

/// What initdb says once in its life.
const INITDB_SAYS: &str = "running bootstrap script";

#[tokio::test]
async fn a_server_has_its_database_and_a_url_for_everyone() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    let row = session(&server)
        .await
        .query_one(
            "SELECT pg_catalog.current_database()::text, pg_catalog.current_setting('listen_addresses'), \
                    pg_catalog.current_setting('server_version'), pg_catalog.current_setting('fsync')",
            &[],
        )
        .await
        .unwrap();
    let got: [String; 4] = std::array::from_fn(|column| row.get(column));
    assert!(got[2].starts_with(server.version()), "{got:?}, {}", server.version());
    assert_eq!([&got[0], &got[1], &got[3]], ["highwater", "", "on"]);
    let mut psql = tokio::process::Command::new(server.program("psql"));
    psql.arg(server.url("highwater")).args(["-Atc", "SELECT 41 + 1"]).env("PGPORT", "1");
    assert_eq!(program::run(&mut psql).await.success().stdout, "42\n");
}

#[tokio::test]
async fn a_dropped_database_is_made_again() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    let mut psql = tokio::process::Command::new(server.program("psql"));
    psql.arg(server.url("postgres")).args(["-c", "DROP DATABASE highwater"]);
    program::run(&mut psql).await.success();
    session(&site.start().await.unwrap()).await;
}

#[tokio::test]
async fn cold_starts_at_once_make_one_server() {
    const STARTERS: usize = 6;
    let site = Site::new();
    let mut holders = Vec::new();
    for _ in 0..STARTERS {
        holders.push(program::start(&mut site.command(&["url", "--hold"])));
    }
    let mut urls = Vec::new();
    for holder in &mut holders {
        urls.push(holder.line().await);
    }
    urls.dedup();
    assert_eq!(urls.len(), 1, "{urls:?}");
    assert_eq!(site.log().matches(INITDB_SAYS).count(), 1, "{}", site.log());
    assert!(!site.directory().join("log.old").exists(), "there was a second start");
    let keepers = site.processes().into_iter().filter(|(_, command)| command.contains(" keep ")).count();
    assert_eq!(keepers, 1);
    let status = site.status().await;
    assert_eq!(status["state"], "running");
    // Not every kernel tells: in some containers /proc/locks is empty.
    if !status["lease_holders"].is_null() {
        assert_eq!(status["lease_holders"], STARTERS);
    }
}

#[tokio::test]
async fn a_killed_starter_leaves_its_server_to_the_next() {
    let site = Site::new();
    let starter = program::start(&mut site.command(&["url", "--hold"]));
    eventually("initdb begins", || site.directory().join("data").exists().then_some(())).await;
    send(Signal::SIGKILL, starter.pid());
    let server = site.start().await.unwrap();
    session(&server).await;
    assert!(!site.directory().join("log.old").exists(), "there was a second start");
}

#[tokio::test]
async fn a_half_made_cluster_is_made_anew() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    let data = server.data_directory();
    drop(server);
    site.deserted().await;
    std::fs::remove_file(site.directory().join("init.ok")).unwrap();
    std::fs::remove_file(data.join("global/pg_control")).unwrap();
    std::fs::write(data.join("leftover"), "x").unwrap();
    session(&site.start().await.unwrap()).await;
    assert!(!data.join("leftover").exists());
}

#[tokio::test]
async fn looking_starts_nothing() {
    let site = Site::new();
    let status = site.status().await;
    assert_eq!((&status["state"], &status["version"]), (&"stopped".into(), &serde_json::Value::Null));
    let refused = program::run(&mut site.command(&["url"])).await;
    assert_eq!(refused.code(), 1);
    assert!(refused.stderr.contains("url --hold"), "{}", refused.stderr);
    assert!(!site.directory().exists());
}

#[tokio::test]
async fn stop_ends_a_server_in_use() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    let directory = site.directory();
    assert_eq!(site.status().await["postmaster_pid"], server.postmaster_pid().unwrap());
    let stopped = program::run(&mut site.command(&["stop"])).await.success();
    assert!(stopped.stdout.starts_with("stopped"), "{stopped:?}");
    assert!(site.processes().is_empty(), "{:?}", site.processes());
    assert_eq!(site.status().await["state"], "stopped");
    assert!(directory.join("data").exists());
    assert_eq!(program::run(&mut site.command(&["stop"])).await.success().stdout, "it was not running\n");
    // Its user still holds the lease; the next one starts it again.
    session(&site.start().await.unwrap()).await;
    drop(server);
}

#[tokio::test]
async fn a_throw_away_server_is_wiped_at_its_stop() {
    let site = Site::new();
    let mut options = site.options();
    options.durable = false;
    options.wipe_at_stop = true;
    let server = highwater::db::embedded::start(&options).await.unwrap();
    let fsync = session(&server).await.query_one("SELECT pg_catalog.current_setting('fsync')", &[]).await;
    assert_eq!(fsync.unwrap().get::<_, String>(0), "off");
    drop(server);
    site.deserted().await;
    let mut left: Vec<String> = std::fs::read_dir(site.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["cluster", "keeper", "lease", "log", "start"]);
}

#[tokio::test]
async fn a_test_may_have_a_server_of_its_own() {
    let own = TestDb::durable_server().await;
    assert!(own.server.data_directory().starts_with(own.directory()));
    let session = highwater::db::connect::connect(&own.target(), "test").await.unwrap();
    let fsync = session.query_one("SELECT pg_catalog.current_setting('fsync')", &[]).await.unwrap();
    assert_eq!(fsync.get::<_, String>(0), "on");
}
