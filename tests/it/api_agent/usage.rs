//! Usage events over HTTP.

use super::site::Site;
use crate::scheduler_site::until;

fn line(id: &str, tokens: i64) -> String {
    format!(
        "{{\"event_id\": \"{id}\", \"occurred_at\": \"2026-11-22T03:04:05+05:30\", \"runtime\": \"r\", \"agent\": \"a\", \
         \"provider\": \"p\", \"model\": \"m\", \"input_tokens\": {tokens}}}\n"
    )
}

#[tokio::test]
async fn usage_is_counted_once_however_often_it_is_sent_and_a_bad_line_takes_all_back() {
    let site = Site::new(&[]).await;
    let host = site.host("acme", "laptop").await;
    let two = line("e1", 3) + "\n" + &line("e2", 4);
    let first = host.ask(&site, "POST", "/v1/usage", &[], two.as_bytes()).await.is(200).json();
    assert_eq!(first, serde_json::json!({"accepted": 2, "duplicates": 0}));
    let again = host.ask(&site, "POST", "/v1/usage", &[], two.as_bytes()).await.is(200).json();
    assert_eq!(again, serde_json::json!({"accepted": 0, "duplicates": 2}));
    let bad = line("e3", 5) + &line("e4", -1);
    let refused = host.ask(&site, "POST", "/v1/usage", &[], bad.as_bytes()).await.is(422);
    assert!(refused.body.contains("line 2: input_tokens is negative"), "{refused:?}");
    let foreign = line("e5", 1).replace("{\"event_id\"", "{\"tenant\": \"umbrella\", \"event_id\"");
    host.ask(&site, "POST", "/v1/usage", &[], foreign.as_bytes()).await.is(422);
    host.ask(&site, "POST", "/v1/usage", &[], b"\n").await.is(400);
    until(
        &site.db,
        "SELECT count(*) FROM (
           SELECT sum(input_tokens) AS tokens, sum(event_count) AS events FROM highwater.usage_hourly
            WHERE tenant = 'acme' AND bucket = '2026-11-21 21:00+00') AS r WHERE r.tokens = 7 AND r.events = 2",
    )
    .await;
}
