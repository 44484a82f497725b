//! The commands, as people and programs run them.

use serde_json::Value;

use super::site::site;
use crate::support::program::highwater;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_schedule_is_added_shown_edited_and_removed() {
    let site = site().await;
    let host = site.host("laptop", "intermittent").await;
    site.group(host, "home").await;
    site.group(host, "work").await;
    let add = [
        "schedules",
        "add",
        "laptop",
        "--group",
        "home",
        "--cron",
        "30 2 * * *",
        "--tz",
        "Europe/Berlin",
        "--catchup",
        "all",
        "--format",
        "json",
    ];
    let added = highwater(&site.db, &add).await.success();
    let id = json(&added.stdout)["id"].as_str().unwrap().to_owned();
    assert_eq!(json(&added.stdout).as_object().unwrap().len(), 1);

    let shown = highwater(&site.db, &["schedules", "show", &id, "--format", "json"]).await.success();
    let shown = json(&shown.stdout)["schedule"].clone();
    assert_eq!(
        (&shown["catchup"], &shown["tz"], &shown["groups"]),
        (&"all".into(), &"Europe/Berlin".into(), &serde_json::json!(["home"]))
    );
    assert!(shown["next_slot_at"].is_string());

    let edit = [
        "schedules",
        "edit",
        &id,
        "--group",
        "work",
        "--group",
        "home",
        "--cron",
        "@hourly",
        "--start-deadline",
        "1h",
    ];
    highwater(&site.db, &edit).await.success();
    let listed =
        highwater(&site.db, &["schedules", "list", "--host", "laptop", "--format", "json"]).await.success();
    let listed = json(&listed.stdout)["schedules"][0].clone();
    assert_eq!(
        (&listed["cron"], &listed["start_deadline_seconds"], &listed["rev"]),
        (&"@hourly".into(), &3600.into(), &2.into())
    );
    assert_eq!(listed["groups"], serde_json::json!(["home", "work"]));

    let next =
        ["schedules", "next", &id, "--after", "2026-10-24T23:30:00Z", "--count", "3", "--format", "json"];
    let next = json(&highwater(&site.db, &next).await.success().stdout);
    let locals: Vec<_> =
        next["next"].as_array().unwrap().iter().map(|one| one["local"].as_str().unwrap()).collect();
    assert_eq!(
        locals,
        ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]
    );

    let off = highwater(&site.db, &["schedules", "edit", &id, "--disable"]).await.success();
    assert!(off.stdout.contains("edited"), "{off:?}");
    highwater(&site.db, &["schedules", "remove", &id]).await.success();
    let gone = highwater(&site.db, &["schedules", "remove", &id]).await;
    assert_eq!(gone.code(), 2, "{gone:?}");
    let empty = highwater(&site.db, &["schedules", "list"]).await.success();
    assert!(empty.stdout.contains("schedules add"), "{empty:?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let site = site().await;
    let host = site.host("laptop", "intermittent").await;
    site.group(host, "home").await;
    for (arguments, words) in [
        (vec!["schedules", "add", "desktop", "--group", "home", "--cron", "@daily"], "\"desktop\""),
        (vec!["schedules", "add", "laptop", "--group", "hole", "--cron", "@daily"], "\"hole\""),
        (vec!["schedules", "add", "laptop", "--group", "home", "--cron", "0 0 31 2 *"], "never fires"),
        (vec!["schedules", "add", "laptop", "--group", "home", "--cron", "0 0 * *"], "4 fields"),
        (
            vec!["schedules", "add", "laptop", "--group", "home", "--cron", "@daily", "--tz", "Berlin"],
            "\"Berlin\"",
        ),
        (
            vec![
                "schedules",
                "add",
                "laptop",
                "--group",
                "home",
                "--cron",
                "CRON_TZ=UTC @daily",
                "--tz",
                "Asia/Tokyo",
            ],
            "leave one of them out",
        ),
        (vec!["schedules", "show", "0198"], "\"0198\""),
        (vec!["schedules", "explain", "99 * * * *"], "minute"),
        (vec!["slots", "list", "--host", "laptop", "--since", "2026-01", "--after", "x"], "\"x\""),
    ] {
        let refused = highwater(&site.db, &arguments).await;
        assert_eq!(refused.code(), 2, "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains(words), "{arguments:?}: {refused:?}");
    }
    assert_eq!(site.count("schedule").await, 0);
    // Another tenant's host of the same name: which one is meant must be said.
    site.run("WITH tenant AS (INSERT INTO highwater.tenant (name) VALUES ('other') RETURNING id)
              INSERT INTO highwater.host (tenant, name, mode, tz) SELECT id, 'laptop', 'always_on', 'UTC' FROM tenant")
        .await;
    let add = ["schedules", "add", "laptop", "--group", "home", "--cron", "@daily"];
    let refused = highwater(&site.db, &add).await;
    assert!(refused.code() == 2 && refused.stderr.contains("--tenant"), "{refused:?}");
    let of_other = [&add[..], &["--tenant", "other"]].concat();
    let refused = highwater(&site.db, &of_other).await;
    assert!(refused.stderr.contains("no group \"home\""), "a tenant sees its own groups only: {refused:?}");
    highwater(&site.db, &[&add[..], &["--tenant", "acme"]].concat()).await.success();
}

#[tokio::test]
async fn slots_are_listed_page_by_page_and_arms_tell_what_they_wait_for() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    site.hourly(host, &[group], "one", 5).await;
    site.materialise().await;
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut arguments = vec![
            "slots", "list", "--host", "laptop", "--since", "2020-01", "--limit", "2", "--format", "json",
        ];
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let page = json(&highwater(&site.db, &arguments).await.success().stdout);
        found.extend(
            page["slots"].as_array().unwrap().iter().map(|slot| slot["slot_at"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(found.len(), 5);
    assert!(found.is_sorted_by(|before, after| before > after), "{found:?}");
    let text =
        highwater(&site.db, &["slots", "list", "--host", "laptop", "--since", "2020-01"]).await.success();
    assert!(text.stdout.contains("no worker was running"), "{text:?}");

    highwater(&site.db, &["catchups", "arm", "laptop"]).await.success();
    let arms = json(&highwater(&site.db, &["catchups", "list", "--format", "json"]).await.success().stdout);
    assert_eq!(
        (&arms["catchups"][0]["host"], &arms["catchups"][0]["overdue"]),
        (&"laptop".into(), &1.into())
    );
    assert_eq!(site.evaluate().await.runs, 1);
    let waiting = json(
        &highwater(
            &site.db,
            &["slots", "list", "--host", "laptop", "--since", "2020-01", "--format", "json"],
        )
        .await
        .success()
        .stdout,
    );
    assert_eq!(
        (&waiting["slots"][0]["how"], &waiting["slots"][0]["fate"]),
        (&"missed".into(), &"waiting".into())
    );
}

#[tokio::test]
async fn a_worker_writes_slots_and_owes_runs_by_itself() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    let schedule = site.hourly(host, &[group], "one", 3).await;
    site.hello(host).await;
    site.settled(host).await;
    let worker = crate::support::program::spawn(&site.db, &["worker", "--listen", "127.0.0.1:0"]);
    let begun = std::time::Instant::now();
    while site.runs(schedule).await.is_empty() {
        assert!(begun.elapsed() < crate::support::eventually::DEADLINE, "no run is owed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(worker.ended().await.code(), 0);
    assert_eq!(site.hows(schedule).await, ["missed"; 3]);
    assert_eq!(site.runs(schedule).await, ["catchup waiting"]);
    assert_eq!(site.claim(host).await.len(), 1);
}
