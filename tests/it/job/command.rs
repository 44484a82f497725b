//! Hosts, groups, jobs and alarms by the command line: what each prints, and what each says to a mistake.

use serde_json::Value;
use uuid::Uuid;

use highwater::db::Executor;

use super::site::{Reporter, apply, count, site, text};
use crate::rollup::field;
use crate::support::TestDb;
use crate::support::program::highwater;

/// The one document that a command prints.
async fn document(db: &TestDb, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    let ended = highwater(db, &all).await.success();
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

/// What a refused command says; its exit code is that of a usage error.
async fn refusal(db: &TestDb, arguments: &[&str]) -> String {
    let ended = highwater(db, arguments).await;
    assert_eq!(ended.code(), 2, "{arguments:?}: {ended:?}");
    ended.stderr
}

const ADD: [&str; 8] = ["hosts", "add", "laptop", "--tenant", "acme", "--mode", "intermittent", "--tz"];

fn add(zone: &'static str) -> Vec<&'static str> {
    let mut arguments = ADD.to_vec();
    arguments.push(zone);
    arguments
}

#[tokio::test]
async fn a_host_is_added_with_its_tenant_shown_edited_and_retired() {
    let db = field::migrated().await;
    let added = document(&db, &add("Europe/Berlin")).await;
    let id = added["id"].as_str().unwrap();
    assert!(Uuid::parse_str(id).is_ok() && added["enrol_code"].as_str().unwrap().len() == 32, "{added}");
    let shown = document(&db, &["hosts", "show", "laptop"]).await;
    assert_eq!(
        (&shown["host"]["id"], &shown["host"]["tenant"], &shown["host"]["mode"]),
        (&added["id"], &"acme".into(), &"intermittent".into())
    );
    document(&db, &["hosts", "edit", id, "--tz", "UTC", "--rpo", "26h"]).await;
    let shown = document(&db, &["hosts", "show", id]).await;
    assert_eq!(
        (&shown["host"]["tz"], &shown["host"]["rpo_seconds"], &shown["host"]["rev"]),
        (&"UTC".into(), &93_600.into(), &2.into())
    );
    let token = document(&db, &["hosts", "token", "laptop"]).await["token"].as_str().unwrap().to_owned();
    let session = db.session().await;
    let kept = format!(
        "SELECT count(*) FROM highwater.host_token WHERE token_sha256 = sha256('{token}') AND revoked_at IS NULL"
    );
    assert_eq!(count(&session, &kept).await, 1);
    let leaks = format!(
        "SELECT count(*) FROM highwater.host_token WHERE encode(token_sha256, 'escape') LIKE '%{token}%'"
    );
    assert_eq!(count(&session, &leaks).await, 0);
    document(&db, &["hosts", "remove", "laptop"]).await;
    assert_eq!(count(&session, &kept).await, 0, "its tokens are void");
    assert_eq!(document(&db, &["hosts", "list"]).await["hosts"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn mistakes_about_hosts_are_named_with_their_remedy() {
    let db = field::migrated().await;
    let said = refusal(&db, &add("Mars/Olympus")).await;
    assert!(said.contains("\"Mars/Olympus\" is no time zone") && said.contains("Europe/Berlin"), "{said}");
    assert_eq!(
        count(&db.session().await, "SELECT count(*) FROM highwater.tenant").await,
        0,
        "nothing of it stays"
    );
    highwater(&db, &add("UTC")).await.success();
    let said = refusal(&db, &add("UTC")).await;
    assert!(
        said.contains("host \"laptop\" exists already of tenant acme") && said.contains("hosts edit"),
        "{said}"
    );
    let said = refusal(&db, &["hosts", "show", "desktop"]).await;
    assert!(said.contains("there is no host \"desktop\"") && said.contains("hosts list"), "{said}");
    let said = refusal(
        &db,
        &["hosts", "add", "-bad name", "--tenant", "acme", "--mode", "always-on", "--tz", "UTC"],
    )
    .await;
    assert!(!said.contains("panicked"), "{said}");
    let said =
        refusal(&db, &["hosts", "add", "bad name", "--tenant", "acme", "--mode", "always-on", "--tz", "UTC"])
            .await;
    assert!(said.contains("host \"bad name\": a name is of letters"), "{said}");
    highwater(&db, &["hosts", "add", "laptop", "--tenant", "umbrella", "--mode", "always-on", "--tz", "UTC"])
        .await
        .success();
    let said = refusal(&db, &["hosts", "show", "laptop"]).await;
    assert!(
        said.contains("of tenant acme")
            && said.contains("of tenant umbrella")
            && said.contains("add --tenant"),
        "{said}"
    );
    highwater(&db, &["hosts", "show", "laptop", "--tenant", "umbrella"]).await.success();
}

#[tokio::test]
async fn a_group_is_added_with_its_repository_shown_edited_and_removed() {
    let db = field::migrated().await;
    highwater(&db, &add("UTC")).await.success();
    let added = document(
        &db,
        &[
            "groups",
            "add",
            "laptop",
            "app",
            "--source",
            "command",
            "--command",
            "pg_dump app",
            "--repository",
            "/srv/backup",
            "--keep-daily",
            "7",
        ],
    )
    .await;
    assert!(Uuid::parse_str(added["id"].as_str().unwrap()).is_ok(), "{added}");
    highwater(
        &db,
        &[
            "groups",
            "add",
            "laptop",
            "home",
            "--source",
            "restic",
            "--path",
            "/home",
            "--path",
            "/etc",
            "--repository",
            "s3:store/home",
        ],
    )
    .await
    .success();
    let groups = document(&db, &["groups", "list", "--host", "laptop"]).await;
    assert_eq!(groups["groups"][0]["repositories"][0], "/srv/backup");
    assert_eq!(
        (&groups["groups"][0]["keep_daily"], &groups["groups"][1]["includes"][1]),
        (&7.into(), &"/etc".into())
    );
    document(
        &db,
        &[
            "groups",
            "edit",
            "laptop",
            "app",
            "--keep-min",
            "3",
            "--clear",
            "keep-daily",
            "--job-timeout",
            "2h",
        ],
    )
    .await;
    let shown = document(&db, &["groups", "show", "laptop", "app"]).await["group"].clone();
    assert_eq!(
        (&shown["keep_daily"], &shown["keep_min"], &shown["job_timeout_seconds"]),
        (&Value::Null, &3.into(), &7200.into())
    );
    for (wrong, words) in [
        (
            &["groups", "add", "laptop", "x", "--source", "command", "--repository", "/r"][..],
            "needs --command",
        ),
        (
            &["groups", "add", "laptop", "x", "--source", "directory", "--repository", "/r"],
            "at least one --path",
        ),
        (
            &[
                "groups",
                "add",
                "laptop",
                "x",
                "--source",
                "directory",
                "--path",
                "/p",
                "--repository",
                "https://a:b@c/d",
            ],
            "must not hold a password",
        ),
        (
            &[
                "groups",
                "add",
                "laptop",
                "app",
                "--source",
                "directory",
                "--path",
                "/p",
                "--repository",
                "/r",
            ],
            "exists already of host laptop",
        ),
        (
            &[
                "groups",
                "add",
                "laptop",
                "x",
                "--source",
                "restic",
                "--path",
                "/p",
                "--repository",
                "/srv/backup",
            ],
            "is of kind directory",
        ),
        (&["groups", "edit", "laptop", "home", "--command", "date"], "source is command"),
        (&["groups", "edit", "laptop", "home", "--keep-last", "0"], "count from 1"),
        (&["groups", "show", "laptop", "nothing"], "there is no group \"nothing\" of host laptop"),
    ] {
        let said = refusal(&db, wrong).await;
        assert!(said.contains(words), "{wrong:?}: {said}");
    }
    document(&db, &["groups", "remove", "laptop", "app"]).await;
    refusal(&db, &["groups", "show", "laptop", "app"]).await;
    highwater(
        &db,
        &[
            "groups",
            "add",
            "laptop",
            "app",
            "--source",
            "directory",
            "--path",
            "/p",
            "--repository",
            "/srv/backup",
        ],
    )
    .await
    .success();
}

#[tokio::test]
async fn a_job_is_listed_shown_and_tried_again() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let job = Uuid::now_v7();
    let run = Reporter::new(1, "2026-03-05T02:00:00Z").run(job, "home", "2026-03-05T03:00:00Z", "failed");
    apply(&mut session, site.host, &run).await;
    let listed =
        document(&db, &["jobs", "list", "--state", "failed", "--host", "laptop", "--since", "2026-03"]).await;
    assert_eq!(
        (&listed["jobs"][0]["id"], &listed["jobs"][0]["error"]),
        (&job.to_string().into(), &"disk full".into())
    );
    assert_eq!(
        document(&db, &["jobs", "list", "--state", "running"]).await["jobs"],
        Value::Array(Vec::new())
    );
    let shown = document(&db, &["jobs", "show", &job.to_string()]).await["job"].clone();
    assert_eq!(
        (shown["steps"].as_array().unwrap().len(), shown["timeline"].as_array().unwrap().len()),
        (2, run.len())
    );
    let page = highwater(&db, &["jobs", "show", &job.to_string()]).await.success().stdout;
    assert!(page.contains("failed") && page.contains("step.finished backup succeeded"), "{page}");
    let next = document(&db, &["jobs", "retry", &job.to_string()]).await;
    let row = format!(
        "SELECT concat_ws(' ', state, attempt, reason, retry_of = '{job}') FROM highwater.backup_job WHERE id = '{}'",
        next["id"].as_str().unwrap()
    );
    assert_eq!(text(&session, &row).await, "queued 2 retry t");
    assert!(refusal(&db, &["jobs", "retry", &job.to_string()]).await.contains("tried again already"));
    assert!(refusal(&db, &["jobs", "retry", next["id"].as_str().unwrap()]).await.contains("is queued"));
    let cancelled = document(&db, &["jobs", "cancel", next["id"].as_str().unwrap()]).await;
    assert_eq!(cancelled["became"], "ended");
    let cancelled = document(&db, &["jobs", "cancel", next["id"].as_str().unwrap()]).await;
    assert_eq!(cancelled["became"], "was_over");
    assert!(refusal(&db, &["jobs", "show", &Uuid::now_v7().to_string()]).await.contains("there is no job"));
    assert!(refusal(&db, &["jobs", "list", "--cursor", "yesterday"]).await.contains("next_cursor"));
}

#[tokio::test]
async fn a_running_job_is_asked_to_end_and_its_own_report_decides() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let job = Uuid::now_v7();
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let started = reporter.report(job, "job.started", serde_json::json!({}));
    apply(&mut session, site.host, &[started]).await;
    assert_eq!(document(&db, &["jobs", "cancel", &job.to_string()]).await["became"], "requested");
    assert_eq!(
        text(&session, "SELECT state || ' ' || (cancel_requested_at IS NOT NULL) FROM highwater.backup_job")
            .await,
        "running true"
    );
    let end = reporter.report(job, "job.finished", serde_json::json!({"state": "cancelled"}));
    apply(&mut session, site.host, &[end]).await;
    assert_eq!(text(&session, "SELECT state FROM highwater.backup_job").await, "cancelled");
}

#[tokio::test]
async fn an_alarm_is_listed_until_it_is_over_and_acknowledged_once() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let failed = reporter.run(Uuid::now_v7(), "home", "2026-03-05T03:00:00Z", "failed");
    apply(&mut session, site.host, &failed).await;
    let alarm = document(&db, &["alarms", "list"]).await["alarms"][0].clone();
    assert_eq!(
        (&alarm["kind"], &alarm["state"], &alarm["group"]),
        (&"failed".into(), &"raised".into(), &"home".into())
    );
    let id = alarm["id"].as_str().unwrap();
    assert_eq!(document(&db, &["alarms", "ack", id, "--by", "ann"]).await["state"], "acknowledged");
    document(&db, &["alarms", "ack", id, "--by", "bob"]).await;
    assert_eq!(document(&db, &["alarms", "list"]).await["alarms"][0]["acknowledged_by"], "ann");
    let good = reporter.run(Uuid::now_v7(), "home", "2026-03-06T03:00:00Z", "succeeded");
    apply(&mut session, site.host, &good).await;
    assert_eq!(document(&db, &["alarms", "list"]).await["alarms"], Value::Array(Vec::new()));
    assert_eq!(document(&db, &["alarms", "list", "--all"]).await["alarms"][0]["state"], "resolved");
    session.batch("SELECT 1").await.unwrap();
}
