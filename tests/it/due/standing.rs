//! Where backups stand: over their RPO or not, why a slot did not run, and what a retry by hand does.

use highwater::db::Executor;
use highwater::ground::wire::id::{GroupId, HostId, JobId};
use highwater::job::{rpo, why};
use serde_json::Value;

use super::site::site;
use crate::support::program::highwater;

#[tokio::test]
async fn a_group_is_over_its_rpo_by_the_age_of_its_last_good_backup() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let (home, work) = (site.group(host, "home").await, site.group(host, "work").await);
    site.hourly(host, &[home], "one", 1).await;
    site.run(&format!(
        "UPDATE highwater.host SET rpo = '1 day'; UPDATE highwater.source_group SET rpo = '1 hour', created_at = now() - interval '2 hours' WHERE id = '{work}'"
    ))
    .await;
    site.materialise().await;
    site.sweep().await;
    let over = async |site: &super::site::Site| {
        let standing = rpo::standing(&site.session, None, None).await.unwrap();
        standing.into_iter().filter(|one| one.is_over_rpo).map(|one| one.group).collect::<Vec<_>>()
    };
    // Never backed up: as old as it is. Its own promise precedes the host's.
    assert_eq!(over(&site).await, ["work"]);
    let job = site.claim(host).await.remove(0);
    site.end(&job, host, "succeeded").await;
    site.settle().await;
    assert_eq!(over(&site).await, ["work"]);
    site.run("UPDATE highwater.backup_job SET finished_at = now() - interval '25 hours'").await;
    assert_eq!(over(&site).await, ["home", "work"]);
    // A host whose clock is ahead is not fresher than now.
    site.run("UPDATE highwater.backup_job SET finished_at = now() + interval '2 days'").await;
    let standing = rpo::standing(&site.session, Some("acme"), Some("laptop")).await.unwrap();
    assert!(standing[0].age_seconds.abs() < 60.0 && !standing[0].is_over_rpo, "{standing:?}");
    assert!(rpo::standing(&site.session, Some("other"), None).await.unwrap().is_empty());
    assert_eq!(rpo::gauges(&site.session).await.unwrap().over_rpo, 1);

    let status = highwater(&site.db, &["status", "--hosts", "--format", "json"]).await;
    let document: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(document["backups"]["over_rpo"], 1);
    assert_eq!(document["hosts"].as_array().unwrap().len(), 2);
    let text = highwater(&site.db, &["status", "--hosts"]).await;
    assert!(text.stdout.contains("work on laptop"), "{text:?}");
}

#[tokio::test]
async fn why_tells_what_decided_about_a_slot() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    site.hourly(host, &[group], "one", 2).await;
    site.materialise().await;
    let told = async |site: &super::site::Site| {
        let now = site.now().await;
        let told = why::why(&site.session, HostId(host), GroupId(group), now, 1).await.unwrap();
        told[0].because.join("; ")
    };
    assert!(told(&site).await.contains("no worker was running"));
    site.hello(host).await;
    assert!(told(&site).await.contains("the host is armed"));
    site.settled(host).await;
    site.evaluate().await;
    assert!(told(&site).await.contains("waits for the host to ask for work"));
    let job = site.claim(host).await.remove(0);
    site.end(&job, host, "failed").await;
    site.settle().await;
    let words = told(&site).await;
    assert!(
        words.contains("it ran: the job failed: said so") && words.contains("attempt 2, not before"),
        "{words}"
    );
    let command =
        highwater(&site.db, &["jobs", "why", "--host", "laptop", "--group", "home", "--format", "json"])
            .await
            .success();
    let document: Value = serde_json::from_str(&command.stdout).unwrap();
    assert_eq!(document["slots"].as_array().unwrap().len(), 2);
    assert_eq!(document["slots"][0]["how"], "ran");
}

#[tokio::test]
async fn a_retry_by_hand_of_a_run_that_was_given_up_is_handed_out_and_settles_its_slot() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    site.run("UPDATE highwater.source_group SET retry_max = 0").await;
    site.hourly(host, &[group], "one", 1).await;
    site.materialise().await;
    site.sweep().await;
    let first = site.claim(host).await.remove(0);
    site.end(&first, host, "failed").await;
    site.settle().await;
    assert_eq!(site.texts("SELECT state FROM highwater.pending_run").await, ["abandoned"]);
    // As "jobs retry" does: a new row, queued for the same run.
    let insert = "INSERT INTO highwater.backup_job (tenant, host, source_group, repository, schedule, pending_run, reason, slot_at, attempt, retry_of, state, queued_at)
         SELECT tenant, host, source_group, repository, schedule, pending_run, 'retry', slot_at, attempt + 1, id, 'queued', now()
           FROM highwater.backup_job WHERE id = $1 RETURNING id";
    let retry = JobId(site.session.query_one(insert, &[&first.job.0]).await.unwrap().get(0));
    let again = site.claim(host).await.remove(0);
    assert_eq!((again.job, again.attempt), (retry, 2));
    site.end(&again, host, "succeeded").await;
    assert_eq!(site.settle().await.good, 1);
    assert_eq!(site.texts_of_slots().await, ["ran"]);
    let success: bool = site
        .session
        .query_one("SELECT last_success_slot = last_slot FROM highwater.schedule_progress", &[])
        .await
        .unwrap()
        .get(0);
    assert!(success);
}
