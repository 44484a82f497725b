//! Those who have no business here: refused, told why, logged without the secret, nothing changed.

use highwater::db::Executor;
use nix::sys::signal::Signal;
use serde_json::json;
use uuid::Uuid;

use super::site::Site;
use crate::support::http::send;

#[tokio::test]
async fn tokens_that_are_missing_false_expired_revoked_or_in_a_url_open_nothing() {
    let site = Site::new(&[]).await;
    let host = site.host("acme", "laptop").await;
    let bearer = format!("Bearer {}", host.token);
    let get =
        async |path: &str, headers: &[(&str, &str)]| send(&site.address, "GET", path, headers, b"").await;
    let config = "/v1/agent/config";
    assert_eq!(get(config, &[]).await.is(401).headers["www-authenticate"], "Bearer");
    get(config, &[("Authorization", "Bearer hw_false")]).await.is(401);
    get(config, &[("Authorization", "Basic YTpi")]).await.is(401);
    let in_url = get(&format!("{config}?token={}", host.token), &[("Authorization", &bearer)]).await.is(400);
    assert!(in_url.body.contains("ends up in logs") && !in_url.body.contains(&host.token), "{in_url:?}");
    get(config, &[("Authorization", &bearer)]).await.is(200);

    let session = site.db.session().await;
    session
        .batch("UPDATE highwater.host_token SET expires_at = clock_timestamp() - interval '1 s'")
        .await
        .unwrap();
    assert!(get(config, &[("Authorization", &bearer)]).await.is(401).body.contains("expired"));
    session
        .batch("UPDATE highwater.host_token SET expires_at = NULL, revoked_at = clock_timestamp()")
        .await
        .unwrap();
    assert!(get(config, &[("Authorization", &bearer)]).await.is(401).body.contains("revoked"));
    session.batch("UPDATE highwater.host_token SET revoked_at = NULL").await.unwrap();
    session.batch("UPDATE highwater.host SET state = 'retired'").await.unwrap();
    get(config, &[("Authorization", &bearer)]).await.is(403);

    site.worker.signal(Signal::SIGTERM);
    let ended = site.worker.ended().await;
    assert!(
        ended.stderr.contains("an unknown token") && !ended.stderr.contains(&host.token),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_code_is_good_once() {
    let site = Site::new(&[]).await;
    let added = site
        .command(&["hosts", "add", "h", "--tenant", "acme", "--mode", "intermittent", "--tz", "UTC"])
        .await;
    let code = json!({"code": added["enrol_code"]});
    site.post("/v1/agent/enrol", &[], &code).await.is(201);
    site.post("/v1/agent/enrol", &[], &code).await.is(403);
    site.post("/v1/agent/enrol", &[], &json!({"code": "guess"})).await.is(403);
    site.post("/v1/agent/enrol", &[], &json!({"kode": 1})).await.is(400);
}

#[tokio::test]
async fn a_host_sees_and_changes_nothing_of_another() {
    let site = Site::new(&[]).await;
    let (own, other) = (site.host("acme", "laptop").await, site.host("umbrella", "laptop").await);
    assert_eq!(own.name, other.name);
    own.hello(&site).await;
    other.hello(&site).await;
    let job = Uuid::now_v7();
    let opened = json!({"events": [{"event_id": Uuid::now_v7(), "epoch": 1, "seq": 1, "job": job, "kind": "job.opened",
        "event_at": "2026-11-22T03:04:05Z", "payload": {"source_group": own.group, "reason": "manual", "attempt": 1}}]});
    own.post(&site, "/v1/agent/events", &opened).await.is(200);
    let document = other.get(&site, "/v1/agent/config").await.is(200).body;
    assert!(!document.contains(&own.id) && !document.contains(&own.group), "{document}");
    let lease = format!("/v1/agent/jobs/{job}/lease");
    other.ask(&site, "POST", &lease, &[("If-Match", "\"1\"")], b"").await.is(410);
    let fire =
        json!({"schedule": own.schedule, "source_group": own.group, "slot_at": "2026-11-22T03:04:00Z"});
    let refused = other
        .ask(&site, "POST", "/v1/agent/fires", &[("Idempotency-Key", "k")], fire.to_string().as_bytes())
        .await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let record = Uuid::now_v7();
    let put = json!({"record": record, "job": job, "repository": Uuid::now_v7(), "source_group": own.group,
                     "bytes_total": 1, "bytes_added": 1, "started_at": "2026-11-22T03:04:05Z",
                     "finished_at": "2026-11-22T03:04:05Z"});
    let path = format!("/v1/agent/records/{record}");
    other.ask(&site, "PUT", &path, &[("If-None-Match", "*")], put.to_string().as_bytes()).await.is(404);
    let mut stolen = opened.clone();
    stolen["events"][0]["event_id"] = json!(Uuid::now_v7());
    stolen["events"][0]["kind"] = json!("job.finished");
    stolen["events"][0]["payload"] = json!({"state": "failed"});
    let verdicts = other.post(&site, "/v1/agent/events", &stolen).await.is(200).json();
    assert_eq!(verdicts["verdicts"][0]["verdict"], "rejected", "{verdicts}");
    let session = site.db.session().await;
    let row = session
        .query_one(
            "SELECT count(*) AS hosts, max(state) AS state FROM highwater.backup_job WHERE id = $1",
            &[&job],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>("hosts"), 1);
    assert_ne!(row.get::<_, String>("state"), "failed");
}

#[tokio::test]
async fn bodies_paths_and_rates_beyond_the_bounds_are_refused_early() {
    let site = Site::new(&["--rate-limit", "2"]).await;
    let host = site.host("acme", "laptop").await;
    let ten_gib = [("Content-Length", "10737418240")];
    let large = host.ask(&site, "POST", "/v1/agent/events", &ten_gib, &[b'x'; 1024]).await.is(413);
    assert_eq!(large.headers["content-type"], "application/problem+json");
    host.ask(&site, "POST", "/v1/agent/jobs/..%2F..%2Fetc/lease", &[("If-Match", "\"1\"")], b"")
        .await
        .is(404);
    send(&site.address, "GET", "/v1/nothing", &[], b"").await.is(404);
    send(&site.address, "DELETE", "/v1/agent/hello", &[], b"").await.is(405);
    let mut limited = None;
    for _ in 0..10 {
        let answer = host.get(&site, "/v1/agent/config").await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
    }
    assert!(limited.expect("the rate is limited").headers.contains_key("retry-after"));
}
