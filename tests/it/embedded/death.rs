//! Whoever dies, and however: nothing is left, nothing committed is lost, and the next start works.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use highwater::db::Executor;
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::site::{Site, is_root, send, session};
use crate::support::eventually::eventually;
use crate::support::program;

/// In which what waits for nothing has ended.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_server_ends_with_its_last_holder_however_that_dies() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT] {
        let site = Site::new();
        let server = site.start().await.unwrap();
        let (first, last) = (site.holder().await, site.holder().await);
        drop(server);
        first.signal(signal);
        first.ended().await;
        // The grace period of the others' deaths is over three times; the last holder's server is still there.
        tokio::time::sleep(3 * site.options().grace).await;
        assert_eq!(site.status().await["state"], "running", "after {signal}");
        last.signal(signal);
        last.ended().await;
        site.deserted().await;
        assert_eq!(site.status().await["state"], "stopped");
    }
}

#[tokio::test]
async fn a_killed_keeper_takes_its_server_along() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    session(&server).await.batch("CREATE TABLE kept AS SELECT 1 AS id").await.unwrap();
    send(Signal::SIGKILL, server.keeper_pid());
    // At once, while the orphan may still be shutting down.
    let next = site.start().await.unwrap();
    assert_ne!(next.keeper_pid(), server.keeper_pid());
    session(&next).await.query_one("SELECT id FROM kept", &[]).await.unwrap();
    send(Signal::SIGKILL, next.keeper_pid());
    site.deserted().await;
}

#[tokio::test]
async fn a_keeper_that_will_not_run_again_is_not_attached_to() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    // As after SIGKILL, until the kernel has come to it: locks and server are there, the process does nothing.
    send(Signal::SIGSTOP, server.keeper_pid());
    let mut starting = std::pin::pin!(site.start());
    let early = tokio::time::timeout(LONG_ENOUGH, starting.as_mut()).await;
    assert!(early.is_err(), "attached to it: {early:?}");
    send(Signal::SIGKILL, server.keeper_pid());
    let next = starting.await.unwrap();
    assert_ne!(next.keeper_pid(), server.keeper_pid());
    session(&next).await;
}

#[tokio::test]
async fn stop_waits_for_a_keeper_that_the_kernel_takes_apart() {
    let site = Site::new();
    drop(site.start().await.unwrap());
    site.deserted().await;
    // Its lock is held still, its process is not to be found any more.
    let lock = std::fs::File::open(site.directory().join("keeper")).unwrap();
    lock.lock().unwrap();
    let mut stopping = std::pin::pin!(program::start(&mut site.command(&["stop"])).ended());
    let early = tokio::time::timeout(LONG_ENOUGH, stopping.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    drop(lock);
    assert_eq!(stopping.await.success().stdout, "it was not running\n");
}

#[tokio::test]
async fn a_killed_postmaster_is_recovered_from() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    session(&server).await.batch("CREATE TABLE kept AS SELECT 1 AS id").await.unwrap();
    send(Signal::SIGKILL, server.postmaster_pid().unwrap());
    let next = site.start().await.unwrap();
    session(&next).await.query_one("SELECT id FROM kept", &[]).await.unwrap();
    assert!(site.log().contains("automatic recovery in progress"), "{}", site.log());
}

#[tokio::test]
async fn a_process_id_that_was_given_to_another_program_is_no_postmaster() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    send(Signal::SIGKILL, server.postmaster_pid().unwrap());
    site.deserted().await;
    drop(server);
    // Postgres itself looks past processes of other users, so it must be one of the server's own.
    let path = site.directory().join("data/postmaster.pid");
    let meta = path.metadata().unwrap();
    let mut other = Command::new("sleep");
    other.arg("3600").kill_on_drop(true);
    if is_root() {
        other.uid(meta.uid()).gid(meta.gid());
    }
    let other = other.spawn().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    std::fs::write(&path, format!("{}\n{rest}", other.id().unwrap())).unwrap();
    session(&site.start().await.unwrap()).await;
}

#[tokio::test]
async fn a_start_during_crash_recovery_waits_for_its_end() {
    let site = Site::new();
    let server = site.start().await.unwrap();
    let victim = session(&server).await;
    let row = victim.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await.unwrap();
    send(Signal::SIGKILL, row.get(0));
    for _ in 0..20 {
        site.start().await.unwrap();
    }
    assert_eq!(site.start().await.unwrap().keeper_pid(), server.keeper_pid());
    eventually("the crash is in the log", || site.log().contains("terminated by signal 9").then_some(()))
        .await;
}
