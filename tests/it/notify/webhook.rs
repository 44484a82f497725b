//! Webhooks: what they get, and what their answers do.

use std::collections::BTreeSet;

use highwater::db::Executor;
use highwater::job::alarm::Kind as AlarmKind;
use highwater::job::channel::Severity;
use highwater::job::delivery::Told;
use highwater::job::telling::webhook::{PATIENCE, signature};

use super::peer::{Manner, Peer};
use super::site::{settings, site};

#[tokio::test]
async fn each_state_of_an_alarm_is_told_once_and_in_order() {
    let mut site = site().await;
    let peer = Peer::http().await;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "sesame\n").unwrap();
    let mut wanted = settings(&peer.url());
    wanted.secret = Some(format!("file:{}", key.display()));
    site.webhook("ops", Some("acme"), &wanted).await;
    site.backup("failed").await;
    site.backup("failed").await;
    assert_eq!(
        site.pass().await,
        Told { delivered: 1, refused: 0, given_up: 0 },
        "one thing that happens twice"
    );
    assert_eq!(site.pass().await, Told::default(), "what was taken is not told again");
    // Noticed and over before anybody was told so: in that order all the same.
    site.acknowledge().await;
    site.backup("succeeded").await;
    assert_eq!(site.pass().await.delivered, 1);
    assert_eq!(site.pass().await.delivered, 1);
    site.later().await;
    assert_eq!(site.pass().await, Told::default());
    let heard = peer.heard();
    let events: Vec<&str> = heard.iter().map(|one| one.headers["highwater-event"].as_str()).collect();
    assert_eq!(events, ["raised", "acknowledged", "resolved"]);
    let ids: BTreeSet<&str> = heard.iter().map(|one| one.headers["highwater-delivery"].as_str()).collect();
    assert_eq!(ids.len(), 3);
    for one in &heard {
        let sent = &one.headers["highwater-signature"];
        let second = sent.split(['=', ',']).nth(1).unwrap().parse().unwrap();
        assert_eq!(*sent, signature("sesame", second, &one.body));
        assert!(!one.body.contains("sesame"));
    }
    let document = heard[0].json();
    assert_eq!((&document["version"], &document["event"]), (&1.into(), &"raised".into()));
    assert_eq!(document["id"], heard[0].headers["highwater-delivery"].as_str());
    let alarm = &document["alarm"];
    assert_eq!(
        [
            &alarm["tenant"],
            &alarm["host"],
            &alarm["group"],
            &alarm["kind"],
            &alarm["severity"],
            &alarm["state"]
        ],
        ["acme", "laptop", "home", "failed", "critical", "raised"]
    );
    assert_eq!(
        (&alarm["times"], &alarm["message"]),
        (&2.into(), &"backup of home on laptop failed: disk full".into())
    );
    assert_eq!(heard[1].json()["alarm"]["acknowledged_by"], "ann");
    assert!(heard[2].json()["alarm"]["resolved_at"].is_string());
}

#[tokio::test]
async fn a_peer_that_fails_in_every_way_hears_of_everything_once_it_is_well() {
    let mut site = site().await;
    let (peer, other, elsewhere) = (Peer::http().await, Peer::http().await, Peer::http().await);
    site.webhook("sick", None, &settings(&peer.url())).await;
    site.webhook("well", None, &settings(&other.url())).await;
    let redirect: &'static str = format!("302 Found\r\nLocation: {}", elsewhere.url()).leak();
    peer.will(&[
        Manner::Say("500 Internal Server Error"),
        Manner::Say("429 Too Many Requests\r\nRetry-After: 1800"),
        Manner::Say("404 Not Found"),
        Manner::Say(redirect),
        Manner::Hang,
        Manner::Sleep,
    ]);
    site.backup("failed").await;
    let error = "SELECT error FROM highwater.alarm_delivery WHERE state = 'waiting'";
    let error = async |site: &super::site::Site| -> String {
        site.session.query_one(error, &[]).await.unwrap().get(0)
    };
    for (turn, words) in [
        (1, "answered 500"),
        (2, "answered 429"),
        (3, "answered 404"),
        (4, "redirects are not followed"),
        (5, ""),
        (6, "no answer within"),
    ] {
        let told = site.pass().await;
        // The other one has heard of it in the first turn, whatever befell this one.
        assert_eq!(told, Told { delivered: i64::from(turn == 1), refused: 1, given_up: 0 }, "turn {turn}");
        let said = error(&site).await;
        assert!(said.contains(words) && !said.contains("/hook"), "turn {turn}: {said}");
        let waits: f64 = site
            .session
            .query_one("SELECT extract(epoch FROM next_try_at - clock_timestamp())::float8 FROM highwater.alarm_delivery WHERE state = 'waiting'", &[])
            .await
            .unwrap()
            .get(0);
        let longest = if turn == 2 { 1800.0 } else { 10.0 * f64::from(1 << (turn - 1)) };
        // Jitter takes up to a half; the machine may have been busy for a while since.
        assert!(
            waits <= longest && waits > longest / 2.0 - 5.0 - PATIENCE.as_secs_f64(),
            "turn {turn}: {waits}"
        );
        assert_eq!(site.pass().await, Told::default(), "it is left alone until then");
        site.later().await;
    }
    // Not even there.
    let port = peer.port;
    let heard = peer.heard();
    drop(peer);
    assert_eq!(site.pass().await.refused, 1);
    assert!(error(&site).await.to_lowercase().contains("refused"));
    let peer = Peer::http_at(port).await;
    site.later().await;
    assert_eq!(site.pass().await.delivered, 1);
    site.later().await;
    assert_eq!(site.pass().await, Told::default());
    let again = peer.heard();
    assert_eq!((again.len(), other.heard().len(), elsewhere.heard().len()), (1, 1, 0));
    let ids: BTreeSet<&String> =
        heard.iter().chain(&again).map(|one| &one.headers["highwater-delivery"]).collect();
    assert_eq!((heard.len(), ids.len()), (6, 1), "the same telling each time");
    assert!(heard.iter().all(|one| !one.is_taken) && again[0].is_taken);
}

#[tokio::test]
async fn a_dead_channel_costs_one_try_a_turn_and_gives_up_in_the_end() {
    let mut site = site().await;
    let peer = Peer::http().await;
    site.webhook("ops", None, &settings(&peer.url())).await;
    // Ten alarms: one of each job whose group nobody has named.
    let mut reporter = crate::job::site::Reporter::new(2, "2026-03-01T02:00:00Z");
    for _ in 0..10 {
        let end =
            reporter.report(uuid::Uuid::now_v7(), "job.finished", serde_json::json!({"state": "failed"}));
        crate::job::site::apply(&mut site.session, site.host.host, &[end]).await;
    }
    peer.will(&vec![Manner::Say("503 Service Unavailable"); 40]);
    assert_eq!(site.pass().await, Told { delivered: 0, refused: 1, given_up: 0 });
    assert_eq!(peer.heard().len(), 1);
    let tried =
        "SELECT count(*) FILTER (WHERE attempts > 0) AS tried, count(*) AS all FROM highwater.alarm_delivery";
    let row = site.session.query_one(tried, &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, i64>("tried"), row.get::<_, i64>("all")),
        (1, 10),
        "the others have lost no try"
    );
    site.session
        .batch("UPDATE highwater.alarm_delivery SET attempts = 31, next_try_at = now()")
        .await
        .unwrap();
    assert_eq!(site.pass().await, Told { delivered: 0, refused: 1, given_up: 1 });
    let channel = highwater::job::channel::find(&site.session, "ops", None).await.unwrap();
    assert_eq!((channel.failed, channel.waiting), (1, 9));
    // Only a person makes it try again.
    peer.will(&[]);
    assert_eq!(highwater::job::channel::retry(&site.session, &channel).await.unwrap(), 10);
    assert_eq!(site.tellings().await.iter().filter(|one| *one == "raised waiting 0").count(), 10);
}

#[tokio::test]
async fn channels_hear_only_what_they_ask_for() {
    let mut site = site().await;
    let peer = Peer::http().await;
    let url = |name: &str| settings(&format!("{}?{name}", peer.url()));
    site.webhook("all", None, &url("all")).await;
    site.webhook("acme", Some("acme"), &url("acme")).await;
    crate::job::site::site(&mut site.session, "umbrella", "server").await;
    site.webhook("umbrella", Some("umbrella"), &url("umbrella")).await;
    let mut critical = url("critical");
    critical.min_severity = Severity::Critical;
    site.webhook("critical", None, &critical).await;
    let mut conflicts = url("conflicts");
    conflicts.kinds = Some(vec![AlarmKind::Conflict]);
    site.webhook("conflicts", None, &conflicts).await;
    let mut off = url("off");
    off.enabled = false;
    site.webhook("off", None, &off).await;
    site.backup("warned").await;
    assert_eq!(names(&peer, &mut site).await, ["acme", "all"]);
    site.backup("failed").await;
    assert_eq!(names(&peer, &mut site).await, ["acme", "acme", "all", "all", "critical"]);
}

/// The channels that have heard of anything so far.
async fn names(peer: &Peer, site: &mut super::site::Site) -> Vec<String> {
    site.pass().await;
    let mut names: Vec<String> =
        peer.heard().iter().map(|one| one.json()["channel"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
