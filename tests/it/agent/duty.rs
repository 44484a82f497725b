//! The agent on duty, as a program: enrolled, configured, with work and without a server, killed and told to end.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::server::Server;
use crate::support::eventually::eventually;
use crate::support::program::{self, Running, command};

fn id(last: u8) -> String {
    format!("01980000-0000-7000-8000-0000000000{last:02x}")
}

struct Site {
    dir: tempfile::TempDir,
    server: Server,
}

impl Site {
    async fn enrolled() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap(), server: Server::start().await };
        std::fs::create_dir(site.dir.path().join("repository")).unwrap();
        site.server.inner.lock().unwrap().token = Some("t0ken".to_owned());
        let refused = site.enrol("wrong").await;
        assert_eq!(refused.code(), 1);
        assert!(refused.stderr.contains("the code is not known"), "{}", refused.stderr);
        assert!(!site.root().join("token").exists());
        let enrolled = site.enrol("c0de").await.success();
        assert!(!enrolled.stdout.contains("t0ken") && !enrolled.stderr.contains("t0ken"));
        site
    }

    async fn enrol(&self, code: &str) -> program::Output {
        let (url, root) = (self.server.url(), self.root());
        let words = ["agent", "enrol", "--server", &url, "--code", code, "--dir", root.to_str().unwrap()];
        program::run(&mut command(&words)).await
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("agent")
    }

    /// A configuration with one group, whose schedule fires every second if it is to.
    fn configure(&self, line: &str, fires: bool) {
        let schedule =
            json!({"id": id(4), "groups": [id(2)], "cron": "* * * * * *", "tz": "UTC", "enabled": fires});
        self.server.inner.lock().unwrap().config = Some(json!({
            "rev": 1,
            "host": {"id": id(1), "name": "laptop", "mode": "intermittent", "tz": "UTC"},
            "groups": [{"id": id(2), "name": "home", "kind": "command", "command": line, "repositories": [id(3)]}],
            "repositories": [{"id": id(3), "kind": "directory", "url": self.dir.path().join("repository")}],
            "schedules": [schedule],
        }));
    }

    fn assign(&self) -> String {
        let job = highwater::ground::wire::id::JobId::fresh().to_string();
        self.server.inner.lock().unwrap().work.push(json!({
            "job": job, "source_group": id(2), "repository": id(3), "reason": "manual", "attempt": 1,
            "lease_token": 5, "lease_until": "2100-01-01T00:00:00Z",
        }));
        job
    }

    fn start(&self, fault: Option<&str>) -> Running {
        let root = self.root();
        let mut program =
            command(&["agent", "run", "--drain-timeout", "20s", "--dir", root.to_str().unwrap()]);
        if let Some(fault) = fault {
            program.env("HIGHWATER_FAULT", fault);
        }
        program::start(&mut program)
    }

    fn finished(&self, job: &str) -> Option<Value> {
        let inner = self.server.inner.lock().unwrap();
        let found = inner.events.iter().find(|event| event["job"] == job && event["kind"] == "job.finished");
        found.map(|event| event["payload"].clone())
    }
}

#[tokio::test]
async fn work_is_done_under_its_lease_and_reported() {
    let site = Site::enrolled().await;
    site.configure("echo data", false);
    let job = site.assign();
    let agent = site.start(None);
    let end = eventually("the job is reported", || site.finished(&job)).await;
    assert_eq!(end["state"], "succeeded");
    let renewed = site.server.inner.lock().unwrap().requests.iter().any(|(what, headers, _)| {
        *what == format!("POST /v1/agent/jobs/{job}/lease") && headers["if-match"] == "\"5\""
    });
    assert!(renewed, "a dispatch is acknowledged by its lease");
    // A second agent on the directory is refused, and names the first.
    let second = site.start(None).ended().await;
    assert_eq!(second.code(), 5);
    assert!(second.stderr.contains(&format!("process {}", agent.pid())), "{}", second.stderr);
    let root = site.root();
    let status =
        program::run(&mut command(&["agent", "status", "--dir", root.to_str().unwrap()])).await.success();
    assert!(status.stdout.contains(&agent.pid().to_string()), "{}", status.stdout);
    let doctor = program::run(&mut command(&["doctor", "--dir", root.to_str().unwrap()])).await;
    assert_eq!(doctor.code(), 0, "{doctor:?}");
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended().await.code(), 0);
    assert_eq!(std::fs::read_dir(root.join("new")).unwrap().count(), 0, "everything was sent");
}

#[tokio::test]
async fn a_lost_lease_stops_the_run() {
    let site = Site::enrolled().await;
    site.configure("sleep 300", false);
    site.server.inner.lock().unwrap().leases = 412;
    let job = site.assign();
    let agent = site.start(None);
    let end = eventually("the job is reported", || site.finished(&job)).await;
    assert_eq!((&end["state"], &end["error_class"]), (&json!("interrupted"), &json!("lease")));
    agent.signal(Signal::SIGTERM);
    agent.ended().await.success();
}

#[tokio::test]
async fn a_slot_that_the_server_takes_is_not_run_here_and_one_that_it_does_not_hear_of_is() {
    let mut site = Site::enrolled().await;
    site.configure("echo data", true);
    let agent = site.start(None);
    let fires = || {
        let inner = site.server.inner.lock().unwrap();
        let told: Vec<String> = inner
            .requests
            .iter()
            .filter(|(what, ..)| what == "POST /v1/agent/fires")
            .map(|(_, headers, _)| headers["idempotency-key"].to_str().unwrap().to_owned())
            .collect();
        (told.len() >= 3).then_some(told)
    };
    let told = eventually("slots are told", fires).await;
    assert!(told[0].starts_with(&format!("{}:{}:20", id(4), id(2))), "{told:?}");
    assert_eq!(told.iter().collect::<std::collections::BTreeSet<_>>().len(), told.len(), "each slot once");
    assert!(!site.server.kinds().contains(&"job.opened".to_owned()));
    // The server goes away: the host runs its slots by itself, and tells of them when it is back.
    let (address, config) = (site.server.address, site.server.inner.lock().unwrap().config.clone());
    drop(std::mem::replace(&mut site.server, Server::start().await));
    let repository = site.dir.path().join("repository");
    eventually("the host runs alone", || {
        let visible = std::fs::read_dir(&repository)
            .unwrap()
            .filter(|one| !one.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
        (visible.count() >= 2).then_some(())
    })
    .await;
    site.server = Server::start_at(address).await;
    site.server.inner.lock().unwrap().config = config;
    let opened = || {
        let inner = site.server.inner.lock().unwrap();
        let event = inner.events.iter().find(|event| event["kind"] == "job.opened")?;
        Some((event["job"].as_str()?.to_owned(), event["payload"].clone()))
    };
    let (job, payload) = eventually("its runs are told", opened).await;
    assert_eq!((&payload["schedule"], &payload["reason"]), (&json!(id(4)), &json!("cron")));
    let end = eventually("and their ends", || site.finished(&job)).await;
    assert_eq!(end["state"], "succeeded");
    agent.signal(Signal::SIGTERM);
    agent.ended().await.success();
}

#[tokio::test]
async fn killed_at_any_place_of_a_replay_nothing_is_lost_or_applied_twice() {
    for fault in ["replay.answered:1", "replay.answered:2", "outbox.settle:1", "outbox.settle:3"] {
        let site = Site::enrolled().await;
        site.configure("echo data", false);
        let job = site.assign();
        let killed = site.start(Some(fault));
        let ended = tokio::time::timeout(Duration::from_secs(60), killed.ended()).await.unwrap();
        assert!(ended.status.code().is_none(), "{fault} was never passed: {ended:?}");
        let agent = site.start(None);
        eventually("the job is reported", || site.finished(&job)).await;
        let root = site.root();
        let empty = || (std::fs::read_dir(root.join("new")).unwrap().count() == 0).then_some(());
        eventually("everything is sent", empty).await;
        agent.signal(Signal::SIGTERM);
        agent.ended().await.success();
        let inner = site.server.inner.lock().unwrap();
        let mut ids: Vec<&str> =
            inner.events.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{fault}");
        let triples: std::collections::BTreeSet<(i64, i64)> = inner
            .events
            .iter()
            .map(|event| (event["epoch"].as_i64().unwrap(), event["seq"].as_i64().unwrap()))
            .collect();
        assert_eq!(triples.len(), count, "{fault}: a number was given twice");
    }
}
