//! One run from hello to record, as an agent asks for it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::site::{Host, Site};
use crate::scheduler_site::until;

/// The events of a whole run, in order.
fn events(host: &Host, job: &str, record: &str) -> Vec<Value> {
    let facts = [
        ("job.started", json!({})),
        ("step.started", json!({"step": "backup"})),
        ("record.underway", json!({"record": record})),
        ("step.finished", json!({"step": "backup", "state": "succeeded", "exit_code": 0, "bytes_added": 7})),
        (
            "record.published",
            json!({"record": record, "snapshot": "s1", "bytes_total": 70, "bytes_added": 7, "sha256": "0f".repeat(32)}),
        ),
        ("job.finished", json!({"state": "succeeded", "bytes_total": 70, "bytes_added": 7, "files": 3})),
    ];
    assert!(!host.id.is_empty());
    facts
        .into_iter()
        .enumerate()
        .map(|(seq, (kind, payload))| {
            json!({"event_id": Uuid::now_v7(), "epoch": 1, "seq": seq + 1, "job": job, "kind": kind,
                   "event_at": "2026-11-22T03:04:05.678Z", "boot_id": "b1", "mono_ms": 5, "payload": payload})
        })
        .collect()
}

#[tokio::test]
async fn a_run_goes_from_hello_to_record_and_every_repetition_is_harmless() {
    let site = Site::new(&[]).await;
    let host = site.host("acme", "laptop").await;
    let welcome = host.hello(&site).await;
    let config = host.get(&site, "/v1/agent/config").await.is(200);
    let tag = config.headers["etag"].clone();
    let document = config.json();
    assert_eq!(document["rev"], welcome["config_rev"]);
    assert_eq!(document["host"]["name"], "laptop");
    assert_eq!(document["groups"][0]["id"], host.group.as_str());
    assert_eq!(document["schedules"][0]["groups"], json!([host.group]));
    host.ask(&site, "GET", "/v1/agent/config", &[("If-None-Match", &tag)], b"").await.is(304);

    // The slot of the minute that has begun, seen by the host's own cron.
    let slot = site.db.session().await;
    let slot: String = {
        use highwater::db::Executor;
        let row = slot
            .query_one(
                "SELECT to_char(date_trunc('minute', clock_timestamp() AT TIME ZONE 'UTC'), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS slot",
                &[],
            )
            .await
            .unwrap();
        row.get("slot")
    };
    let fire = json!({"schedule": host.schedule, "source_group": host.group, "slot_at": slot});
    let key = format!("{}:{}:{slot}", host.schedule, host.group);
    let fire_with = |key: String, body: Value| {
        let (site, host) = (&site, &host);
        async move {
            let headers = [("Idempotency-Key", key.as_str())];
            host.ask(site, "POST", "/v1/agent/fires", &headers, body.to_string().as_bytes()).await
        }
    };
    let first = fire_with(key.clone(), fire.clone()).await;
    assert!([200, 201].contains(&first.status), "{first:?}");
    let again = fire_with(key.clone(), fire.clone()).await.is(200);
    assert_eq!(again.json()["run"], first.json()["run"]);
    let other =
        json!({"schedule": host.schedule, "source_group": host.group, "slot_at": "2026-01-01T00:00:00Z"});
    assert_eq!(fire_with(key, other).await.is(422).json()["type"], "urn:highwater:key-reused");
    host.ask(&site, "POST", "/v1/agent/fires", &[], fire.to_string().as_bytes()).await.is(400);

    // Work comes under a lease, to one asker.
    let mut work = host.get(&site, "/v1/agent/work?wait=30").await.is(200).json();
    let assignment = work["work"].as_array_mut().unwrap().remove(0);
    let (job, token) =
        (assignment["job"].as_str().unwrap().to_owned(), assignment["lease_token"].to_string());
    let lease = format!("/v1/agent/jobs/{job}/lease");
    host.ask(&site, "POST", &lease, &[], b"").await.is(428);
    host.ask(&site, "POST", &lease, &[("If-Match", "\"999\"")], b"").await.is(412);
    let tag = format!("\"{token}\"");
    let renewed = host.ask(&site, "POST", &lease, &[("If-Match", &tag)], b"").await.is(200).json();
    assert_eq!(renewed["cancel"], false);
    site.command(&["jobs", "cancel", &job]).await;
    let renewed = host.ask(&site, "POST", &lease, &[("If-Match", &tag)], b"").await.is(200).json();
    assert_eq!(renewed["cancel"], true);

    // Reports, twice, and in between a record that says the same.
    let record = Uuid::now_v7().to_string();
    let batch = json!({"events": events(&host, &job, &record)});
    let verdicts = host.post(&site, "/v1/agent/events", &batch).await.is(200).json();
    let words = |verdicts: &Value| -> Vec<String> {
        verdicts["verdicts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["verdict"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(words(&verdicts).iter().all(|word| word == "applied"), "{verdicts}");
    let put = json!({"record": record, "job": job, "repository": assignment["repository"], "source_group": host.group,
                     "snapshot": "s1", "bytes_total": 70, "bytes_added": 7, "sha256": "0f".repeat(32),
                     "started_at": "2026-11-22T03:04:05Z", "finished_at": "2026-11-22T03:05:05Z"});
    let path = format!("/v1/agent/records/{record}");
    let new = [("If-None-Match", "*")];
    host.ask(&site, "PUT", &path, &[], put.to_string().as_bytes()).await.is(428);
    host.ask(&site, "PUT", &path, &new, put.to_string().as_bytes()).await.is(200);
    let mut contradiction = put.clone();
    contradiction["sha256"] = json!("1e".repeat(32));
    host.ask(&site, "PUT", &path, &new, contradiction.to_string().as_bytes()).await.is(412);
    let verdicts = host.post(&site, "/v1/agent/events", &batch).await.is(200).json();
    assert!(words(&verdicts).iter().all(|word| word == "duplicate"), "{verdicts}");

    host.ask(&site, "POST", &lease, &[("If-Match", &tag)], b"").await.is(410);
    let jobs = site.command(&["jobs", "list", "--host", &host.id]).await;
    assert!(jobs.to_string().contains("succeeded"), "{jobs}");
    // The worker drains the rollup, which counts the job once.
    until(
        &site.db,
        "SELECT count(*) FROM (SELECT sum(jobs) AS jobs FROM highwater.backup_job_hourly WHERE state = 'succeeded') AS r WHERE r.jobs = 1",
    )
    .await;
}

#[tokio::test]
async fn one_bad_event_costs_nobody_else_a_verdict() {
    let site = Site::new(&[]).await;
    let host = site.host("acme", "laptop").await;
    let job = Uuid::now_v7();
    let good = json!({"event_id": Uuid::now_v7(), "epoch": 1, "seq": 1, "job": job, "kind": "job.finished",
                      "event_at": "2026-11-22T03:04:05Z", "payload": {"state": "failed", "error": "disk"}});
    let batch = json!({"events": [{"nonsense": 1}, good, 7]});
    let verdicts = host.post(&site, "/v1/agent/events", &batch).await.is(200).json();
    let lines = verdicts["verdicts"].as_array().unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["verdict"], &lines[2]["verdict"]), (&json!("rejected"), &json!("rejected")));
    assert_eq!(lines[1]["event_id"], good["event_id"]);
    host.post(&site, "/v1/agent/events", &json!({"events": vec![json!({}); 501]})).await.is(413);
}
