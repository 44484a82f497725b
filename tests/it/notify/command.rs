//! Channels by the command line.

use serde_json::Value;

use super::peer::{Manner, Peer};
use super::site::site;
use crate::support::TestDb;
use crate::support::program::{command, highwater, run};

async fn document(db: &TestDb, arguments: &[&str]) -> Value {
    let mut all = vec!["alarms", "channel"];
    all.extend(arguments);
    all.extend(["--format", "json"]);
    let ended = highwater(db, &all).await.success();
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

#[tokio::test]
async fn a_channel_is_added_tested_edited_and_removed() {
    let site = site().await;
    let peer = Peer::http().await;
    let url = peer.url();
    let secret = ["--secret", "env:HIGHWATER_SECRET_OPS"];
    let id = document(&site.db, &["add", "ops", "--tenant", "acme", "--webhook", &url, secret[0], secret[1]])
        .await["id"]
        .clone();
    let test = ["alarms", "channel", "test", "ops"];
    // The secret is not there; then it is, and the peer refuses; then all is well.
    let ended = highwater(&site.db, &test).await;
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("env:HIGHWATER_SECRET_OPS is not set"), "{ended:?}");
    peer.will(&[Manner::Say("403 Forbidden")]);
    let mut with_secret = command(&test);
    with_secret.env("DATABASE_URL", site.db.url()).env("HIGHWATER_SECRET_OPS", "sesame");
    let ended = run(&mut with_secret).await;
    assert!(ended.code() == 1 && ended.stderr.contains("answered 403"), "{ended:?}");
    let ended = run(&mut with_secret).await.success();
    assert!(!format!("{ended:?}").contains("sesame"));
    let heard = peer.heard();
    assert_eq!(
        (heard.len(), &heard[1].json()["event"], &heard[1].json()["alarm"]),
        (2, &"test".into(), &Value::Null)
    );
    document(
        &site.db,
        &[
            "edit",
            "ops",
            "--kind",
            "failed",
            "--kind",
            "missed",
            "--min-severity",
            "critical",
            "--clear",
            "secret",
        ],
    )
    .await;
    let shown = document(&site.db, &["list"]).await["channels"][0].clone();
    assert_eq!(
        [
            &shown["id"],
            &shown["tenant"],
            &shown["kind"],
            &shown["min_severity"],
            &shown["secret"],
            &shown["rev"]
        ],
        [&id, &"acme".into(), &"webhook".into(), &"critical".into(), &Value::Null, &2.into()]
    );
    assert_eq!(shown["kinds"], serde_json::json!(["failed", "missed"]));
    document(&site.db, &["edit", "ops", "--clear", "kinds", "--enabled", "false"]).await;
    let text = highwater(&site.db, &["alarms", "channel", "list"]).await.success().stdout;
    assert!(text.contains("ops") && text.contains("webhook") && text.contains("all"), "{text}");
    document(&site.db, &["remove", "ops"]).await;
    assert_eq!(document(&site.db, &["list"]).await["channels"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn mistakes_about_channels_are_named_with_their_remedy() {
    let site = site().await;
    for (wrong, words) in [
        (&["add", "ops"][..], "--webhook"),
        (&["add", "ops", "--webhook", "chat.example"], "the URL "),
        (&["add", "ops", "--webhook", "https://me:sesame@chat.example/"], "no password"),
        (
            &["add", "ops", "--webhook", "https://chat.example/", "--secret", "sesame"],
            "a secret is named, not given",
        ),
        (&["add", "ops", "--webhook", "https://chat.example/", "--to", "a@b.c"], "are for --smtp"),
        (&["add", "ops", "--smtp", "smtps://mail.example"], "needs --from"),
        (&["add", "ops", "--smtp", "smtps://mail.example", "--from", "hw@a.b"], "at least one --to"),
        (
            &["add", "ops", "--smtp", "smtps://mail.example", "--from", "hw", "--to", "a@b.c"],
            "no mail address",
        ),
        (
            &["add", "ops", "--webhook", "https://chat.example/", "--tenant", "nobody"],
            "there is no tenant \"nobody\"",
        ),
        (&["add", "ops", "--webhook", "https://chat.example/", "--kind", "boring"], "boring"),
        (&["test", "ops"], "there is no channel \"ops\"; see \"highwater alarms channel list\""),
    ] {
        let mut arguments = vec!["alarms", "channel"];
        arguments.extend(wrong);
        let ended = highwater(&site.db, &arguments).await;
        assert_eq!(ended.code(), 2, "{wrong:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{wrong:?}: {ended:?}");
        assert!(!ended.stderr.contains("sesame"), "{ended:?}");
    }
    document(&site.db, &["add", "ops", "--webhook", "https://chat.example/"]).await;
    let ended =
        highwater(&site.db, &["alarms", "channel", "add", "ops", "--webhook", "https://chat.example/"]).await;
    assert!(ended.code() == 2 && ended.stderr.contains("exists already"), "{ended:?}");
    // The same name in a tenant is another channel.
    document(&site.db, &["add", "ops", "--tenant", "acme", "--webhook", "https://chat.example/"]).await;
    let ended = highwater(&site.db, &["alarms", "channel", "remove", "ops"]).await;
    assert!(
        ended.code() == 2 && ended.stderr.contains("of no tenant") && ended.stderr.contains("of tenant acme"),
        "{ended:?}"
    );
    document(&site.db, &["remove", "ops", "--tenant", "acme"]).await;
}
