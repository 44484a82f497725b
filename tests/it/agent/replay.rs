//! What the outbox does with every answer, and that a server has in the end what the host has told.

use std::sync::Arc;
use std::time::Duration;

use highwater::agent::HostClock;
use highwater::agent::client::Client;
use highwater::agent::outbox::{Bounds, Class, Draft, Outbox, Place, Request, Shelf};
use highwater::agent::replay::{Pace, Pacing, Replay};
use highwater::agent::settings::Settings;
use highwater::ground::wire::id::JobId;
use highwater::ground::wire::problem::IN_PROGRESS;

use super::field::{event, finished, noon, stamp, started};
use super::server::{Script, Server};

struct Site {
    dir: tempfile::TempDir,
    server: Server,
    outbox: Arc<Outbox>,
    replay: Replay,
}

impl Site {
    async fn new() -> Site {
        let server = Server::start().await;
        let dir = tempfile::tempdir().unwrap();
        let outbox = Arc::new(Outbox::open(dir.path(), Bounds::default(), noon()).unwrap());
        std::fs::write(dir.path().join("token"), "t0ken").unwrap();
        let settings = Settings { server: Some(server.url()), ..Settings::default() };
        let client = Arc::new(Client::new(dir.path(), &settings).unwrap());
        let pacing = Pacing { base: Duration::from_millis(1), cap: Duration::from_millis(5) };
        let replay = Replay::new(Arc::clone(&outbox), client, Arc::new(HostClock::default()), pacing);
        Site { dir, server, outbox, replay }
    }

    fn queue(&self, count: usize) {
        for _ in 0..count {
            self.outbox.enqueue(&[(event(JobId::fresh(), started()), stamp(0))]).unwrap();
        }
    }

    fn files(&self, place: Place) -> usize {
        Shelf::open(self.dir.path()).unwrap().files(place).unwrap().len()
    }

    /// Sends until nothing waits.
    async fn drain(&mut self) {
        for _ in 0..2_000 {
            if self.outbox.is_empty() {
                return;
            }
            match self.replay.pass().await.unwrap() {
                Pace::Went => {}
                Pace::Idle(_) | Pace::Paused(_) | Pace::Refused(_) => {
                    tokio::time::sleep(Duration::from_millis(2)).await
                }
            }
        }
        panic!("something never leaves the outbox");
    }
}

#[tokio::test]
async fn every_answer_does_what_the_table_says() {
    let in_progress: &'static str =
        Box::leak(format!(r#"{{"type": "{IN_PROGRESS}", "title": "x"}}"#).into_boxed_str());
    for (status, body, ends) in [
        (408, "", None),
        (425, "", None),
        (429, "", None),
        (500, "", None),
        (502, "", None),
        (503, "", None),
        (504, "", None),
        (409, in_progress, None),
        (401, "", None),
        (403, "", None),
        (301, "", None),
        (302, "", None),
        (307, "", None),
        (308, "", None),
        (204, "", None),
        (400, "", Some(Place::Dead)),
        (404, "", Some(Place::Dead)),
        (410, "", Some(Place::Dead)),
        (422, "", Some(Place::Dead)),
        (413, "", Some(Place::Dead)),
        (412, "{}", Some(Place::Conflict)),
    ] {
        let mut site = Site::new().await;
        site.queue(1);
        site.server.script([Script::Status(status, None, body)]);
        let pace = site.replay.pass().await.unwrap();
        match ends {
            Some(place) => {
                assert_eq!((site.files(Place::New), site.files(place)), (0, 1), "{status}");
                let shelf = Shelf::open(site.dir.path()).unwrap();
                let file = shelf.files(place).unwrap().remove(0);
                let answer = shelf.item(place, &file).unwrap().unwrap().answer.unwrap();
                assert_eq!(answer.status, Some(status));
            }
            None => {
                assert_eq!(site.files(Place::New), 1, "{status}");
                assert_ne!(pace, Pace::Went, "{status}");
                assert_eq!(matches!(pace, Pace::Refused(_)), matches!(status, 401 | 403), "{status}");
                site.drain().await;
                assert_eq!(site.server.seqs(), [1], "{status}");
                let followed = site
                    .server
                    .inner
                    .lock()
                    .unwrap()
                    .requests
                    .iter()
                    .any(|(what, ..)| what.contains("elsewhere"));
                assert!(!followed, "a redirect is never followed");
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_no_answer_and_retry_after_is_obeyed() {
    let mut site = Site::new().await;
    site.queue(3);
    site.server.script([Script::Page, Script::Status(503, Some(7), "")]);
    assert!(matches!(site.replay.pass().await.unwrap(), Pace::Paused(_)));
    assert_eq!(site.replay.pass().await.unwrap(), Pace::Paused(Duration::from_secs(7)));
    assert_eq!(site.files(Place::New), 3);
    site.drain().await;
    assert_eq!(site.server.seqs(), [1, 2, 3]);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_nothing_is_applied_twice() {
    let mut site = Site::new().await;
    site.queue(40);
    site.server.script([Script::ApplyAndBreak, Script::ApplyAndBreak, Script::Status(500, None, "")]);
    site.drain().await;
    let mut seqs = site.server.seqs();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=40).collect::<Vec<i64>>());
    assert!(site.server.inner.lock().unwrap().batches.len() > 3);
}

#[tokio::test]
async fn an_event_that_a_server_falls_over_holds_up_no_other() {
    let mut site = Site::new().await;
    site.queue(60);
    site.server.inner.lock().unwrap().verdicts.insert(17, "fall");
    for _ in 0..500 {
        if site.outbox.figures().unwrap().pending == 1 {
            break;
        }
        site.replay.pass().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut seqs = site.server.seqs();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=60).filter(|seq| *seq != 17).collect::<Vec<i64>>());
    site.server.inner.lock().unwrap().verdicts.clear();
    site.drain().await;
    assert_eq!(site.server.seqs().len(), 60);
}

#[tokio::test]
async fn verdicts_decide_event_by_event_and_a_deferred_one_holds_its_own_job() {
    let mut site = Site::new().await;
    let (one, two) = (JobId::fresh(), JobId::fresh());
    for (job, fact) in [(one, started()), (two, started()), (one, finished()), (two, finished())] {
        site.outbox.enqueue(&[(event(job, fact), stamp(0))]).unwrap();
    }
    site.server.inner.lock().unwrap().verdicts.extend([(1, "conflict"), (2, "retry"), (3, "rejected")]);
    site.replay.pass().await.unwrap();
    assert_eq!((site.files(Place::Conflict), site.files(Place::Dead), site.files(Place::New)), (1, 1, 1));
    assert_eq!(site.server.seqs(), [4]);
    site.server.inner.lock().unwrap().verdicts.clear();
    site.drain().await;
    assert_eq!(site.server.seqs(), [4, 2]);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_split() {
    let mut site = Site::new().await;
    site.queue(30);
    site.server.script([Script::Status(413, None, ""), Script::Status(413, None, "")]);
    site.drain().await;
    assert_eq!(site.server.seqs(), (1..=30).collect::<Vec<i64>>());
    assert_eq!(site.server.inner.lock().unwrap().batches[..3], [30, 15, 7]);
}

#[tokio::test]
async fn any_request_may_wait_with_its_key_and_its_precondition() {
    let mut site = Site::new().await;
    let job = JobId::fresh();
    let request = Request {
        method: "PUT".to_owned(),
        path: "/v1/agent/records/x".to_owned(),
        content_type: "application/json".to_owned(),
        idempotency_key: Some("key".to_owned()),
        if_match: None,
        if_none_match: Some("*".to_owned()),
    };
    let draft = Draft::Request {
        request,
        body: "{\"a\": 1}".to_owned(),
        lane: Some(job.to_string()),
        class: Class::Tells,
    };
    site.outbox.enqueue(&[(event(job, started()), stamp(0)), (draft, stamp(0))]).unwrap();
    site.drain().await;
    let inner = site.server.inner.lock().unwrap();
    let (what, headers, body) = inner.requests.last().unwrap();
    assert_eq!((what.as_str(), body.as_str()), ("PUT /v1/agent/records/x", "{\"a\": 1}"));
    assert_eq!(
        (headers["idempotency-key"].as_bytes(), headers["if-none-match"].as_bytes()),
        (&b"key"[..], &b"*"[..])
    );
    assert_eq!(headers["authorization"], "Bearer t0ken");
    assert_eq!(inner.requests[0].0, "POST /v1/agent/events", "after the event before it");
}
