//! `highwater outbox`: looking, retrying, dropping, while an agent runs.

use std::time::Instant;

use highwater::agent::outbox::{Answer, Bounds, Load, Outbox, Place};
use highwater::ground::wire::id::JobId;
use serde_json::Value;

use super::field::{event, finished, noon, stamp, started};
use crate::support::program::{Output, command, run};

async fn outbox(dir: &std::path::Path, words: &[&str]) -> Output {
    let mut arguments = vec!["outbox"];
    arguments.extend(words);
    arguments.extend(["--dir", dir.to_str().unwrap()]);
    run(&mut command(&arguments)).await
}

async fn json(dir: &std::path::Path, words: &[&str]) -> Value {
    let mut arguments = words.to_vec();
    arguments.extend(["--format", "json"]);
    serde_json::from_str(&outbox(dir, &arguments).await.success().stdout).unwrap()
}

#[tokio::test]
async fn refused_entries_are_shown_with_the_servers_words_retried_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let agent = Outbox::open(dir.path(), Bounds::default(), noon()).unwrap();
    let job = JobId::fresh();
    let drafts = [started(), finished(), finished()].map(|fact| (event(job, fact), stamp(0)));
    let names: Vec<_> = agent.enqueue(&drafts).unwrap().into_iter().flatten().collect();
    let answer = |status, reason: &str| Answer {
        status: Some(status),
        verdict: None,
        reason: reason.to_owned(),
        body: Some("{\"state\": \"failed\"}".to_owned()),
        at: noon(),
    };
    agent.refuse(names[0], Place::Dead, &answer(422, "no such job")).unwrap();
    agent.refuse(names[1], Place::Conflict, &answer(412, "another end is there")).unwrap();

    let list = json(dir.path(), &["list"]).await;
    assert_eq!((&list["new"], &list["conflict"], &list["dead"]), (&1.into(), &1.into(), &1.into()));
    let places: Vec<&str> =
        list["entries"].as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["new", "conflict", "dead"]);
    let text = outbox(dir.path(), &["list"]).await.success().stdout;
    assert!(text.contains("another end is there") && text.contains("job.finished"), "{text}");

    let shown = json(dir.path(), &["show", "2"]).await;
    assert_eq!(shown["entry"]["answer"]["status"], 412);
    assert_eq!(shown["entry"]["body"]["seq"], 2);
    let by_id = json(dir.path(), &["show", &names[0].id.to_string()]).await;
    assert_eq!(by_id["entry"]["reason"], "no such job");

    // A running agent finds what came back, in its old place.
    outbox(dir.path(), &["retry", "1"]).await.success();
    agent.rescan().unwrap();
    let Some(Load::Events(waiting)) = agent.next(Instant::now(), 500, 1 << 20) else { panic!("events wait") };
    assert_eq!(waiting, [names[0], names[2]]);
    assert_eq!(outbox(dir.path(), &["retry", "3"]).await.code(), 2);

    outbox(dir.path(), &["drop", "--all"]).await.success();
    let left = std::fs::read_dir(dir.path().join("conflict")).unwrap().count();
    assert_eq!(left, 0, "the words go with the entry");
    outbox(dir.path(), &["drop", "3"]).await.success();
    assert!(agent.load(names[2], noon()).unwrap().is_none());
    assert_eq!(agent.figures().unwrap().pending, 1);

    let lines = outbox(dir.path(), &["export"]).await.success().stdout;
    let exported: Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(exported["body"]["event_id"], names[0].id.to_string());
}

#[tokio::test]
async fn what_is_no_agents_directory_is_said_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let ended = outbox(dir.path(), &["list"]).await;
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("highwater agent enrol"), "{}", ended.stderr);
    Outbox::open(dir.path(), Bounds::default(), noon()).unwrap();
    let ended = outbox(dir.path(), &["show", "../../etc/passwd"]).await;
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""));
}
