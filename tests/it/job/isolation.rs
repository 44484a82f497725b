//! Tenants do not see each other: each command is tried across them.

use highwater::db::Executor;
use highwater::ground::wire::verdict::Verdict;
use serde_json::json;
use uuid::Uuid;

use super::site::{Reporter, apply, count, schedule, site};
use crate::rollup::field;
use crate::support::program::highwater;

#[tokio::test]
async fn no_command_reaches_into_another_tenant() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    site(&mut session, "acme", "laptop").await;
    let theirs = site(&mut session, "umbrella", "server").await;
    let job = Uuid::now_v7();
    let run = Reporter::new(1, "2026-03-05T02:00:00Z").run(job, "home", "2026-03-05T03:00:00Z", "failed");
    apply(&mut session, theirs.host, &run).await;
    let (plan, record) = (
        schedule(&session, &theirs).await.to_string(),
        session
            .query_one("SELECT id FROM highwater.backup_record", &[])
            .await
            .unwrap()
            .get::<_, Uuid>(0)
            .to_string(),
    );
    let list = tempfile::NamedTempFile::new().unwrap();
    let present = list.path().to_str().unwrap();
    let alarm: Uuid = session.query_one("SELECT id FROM highwater.alarm", &[]).await.unwrap().get(0);
    let (host, job, alarm) = (theirs.host.to_string(), job.to_string(), alarm.to_string());
    let before = text_of_everything(&session).await;
    for refused in [
        &["hosts", "show", &host][..],
        &["hosts", "show", "server"],
        &["hosts", "edit", &host, "--tz", "UTC"],
        &["hosts", "remove", &host],
        &["hosts", "token", &host],
        &["hosts", "enrol-code", &host],
        &["groups", "add", &host, "more", "--source", "directory", "--path", "/", "--repository", "/r"],
        &["groups", "list", "--host", &host],
        &["groups", "show", &host, "home"],
        &["groups", "edit", &host, "home", "--keep-min", "2"],
        &["groups", "remove", &host, "home"],
        &["jobs", "list", "--host", &host],
        &["jobs", "show", &job],
        &["jobs", "cancel", &job],
        &["jobs", "retry", &job],
        &["jobs", "list", "--host", "server"],
        &["jobs", "why", "--host", &host, "--group", "home"],
        &["alarms", "ack", &alarm],
        &["schedules", "add", &host, "--group", "home", "--cron", "@daily"],
        &["schedules", "list", "--host", &host],
        &["schedules", "show", &plan],
        &["schedules", "edit", &plan, "--disable"],
        &["schedules", "remove", &plan],
        &["schedules", "next", &plan],
        &["slots", "list", "--host", &host, "--since", "2026-01-01"],
        &["slots", "why", "--host", &host, "--group", "home"],
        &["catchups", "arm", &host],
        &["records", "list", "--host", &host],
        &["records", "list", "--host", "server", "--group", "home"],
        &["records", "show", &record],
        &["records", "pin", &record],
        &["records", "unpin", &record],
        &["records", "verify", &record],
        &["records", "verify", &record, "--found", "good"],
        &["records", "reconcile", &host, "--repository", "/srv/umbrella/server", "--present", present],
        &["retention", "plan", &host],
        &["retention", "plan", "server", "home"],
    ] {
        let mut arguments = refused.to_vec();
        arguments.extend(["--tenant", "acme"]);
        let ended = highwater(&db, &arguments).await;
        assert_eq!(ended.code(), 2, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("there is no "), "{arguments:?}: {ended:?}");
    }
    for others in [
        &["jobs", "list"][..],
        &["alarms", "list", "--all"],
        &["hosts", "list"],
        &["groups", "list"],
        &["schedules", "list"],
        &["catchups", "list"],
        &["records", "list"],
        &["retention", "plan", "--all"],
    ] {
        let mut arguments = others.to_vec();
        arguments.extend(["--tenant", "acme", "--format", "json"]);
        let ended = highwater(&db, &arguments).await.success();
        for theirs in [&job, &host, &alarm, &plan, &record] {
            assert!(!ended.stdout.contains(theirs.as_str()), "{arguments:?}: {ended:?}");
        }
    }
    // A group of another host, named by its id, is none of this one's.
    let ended =
        highwater(&db, &["groups", "show", "laptop", &theirs.group.to_string(), "--tenant", "acme"]).await;
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert_eq!(text_of_everything(&session).await, before, "nothing was changed on the way");
}

async fn text_of_everything(session: &highwater::db::Session) -> String {
    let all = "SELECT string_agg(row, ',' ORDER BY row) FROM (
        SELECT to_jsonb(host) #>> '{}' AS row FROM highwater.host AS host UNION ALL
        SELECT to_jsonb(g) #>> '{}' FROM highwater.source_group AS g UNION ALL
        SELECT to_jsonb(job) #>> '{}' FROM highwater.backup_job AS job UNION ALL
        SELECT to_jsonb(token) #>> '{}' FROM highwater.host_token AS token UNION ALL
        SELECT to_jsonb(code) #>> '{}' FROM highwater.host_enrolment AS code UNION ALL
        SELECT to_jsonb(schedule) #>> '{}' FROM highwater.schedule AS schedule UNION ALL
        SELECT to_jsonb(record) #>> '{}' FROM highwater.backup_record AS record UNION ALL
        SELECT to_jsonb(arm) #>> '{}' FROM highwater.catchup_arm AS arm UNION ALL
        SELECT to_jsonb(alarm) #>> '{}' FROM highwater.alarm AS alarm) AS everything";
    session.query_one(all, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn no_report_reaches_into_another_tenant() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let ours = site(&mut session, "acme", "laptop").await;
    let theirs = site(&mut session, "umbrella", "server").await;
    let their_schedule = schedule(&session, &theirs).await;
    let job = Uuid::now_v7();
    let run = Reporter::new(1, "2026-03-05T02:00:00Z").run(job, "home", "2026-03-05T03:00:00Z", "succeeded");
    apply(&mut session, theirs.host, &run).await;
    let record: Uuid = session.query_one("SELECT id FROM highwater.backup_record", &[]).await.unwrap().get(0);
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let own = Uuid::now_v7();
    let (their_group, slot) = (theirs.group, "2026-03-05T03:00:00Z");
    let batch = [
        reporter.report(job, "job.finished", json!({"state": "failed"})),
        reporter.report(job, "step.started", json!({"step": "backup"})),
        reporter.report(Uuid::now_v7(), "job.opened", json!({"source_group": their_group})),
        reporter.report(
            Uuid::now_v7(),
            "job.opened",
            json!({"source_group": "home", "schedule": their_schedule}),
        ),
        reporter.report(
            Uuid::now_v7(),
            "job.opened",
            json!({"source_group": "home", "repository": "/srv/umbrella/server"}),
        ),
        reporter.report(own, "record.published", json!({"record": record, "sha256": "cd".repeat(32)})),
        reporter.report(
            own,
            "slot.missed",
            json!({"source_group": their_group, "schedule": their_schedule, "slot_at": slot}),
        ),
    ];
    use Verdict::{Conflict, Rejected};
    let verdicts = apply(&mut session, ours.host, &batch).await;
    assert_eq!(verdicts, [Rejected, Rejected, Rejected, Rejected, Rejected, Conflict, Rejected]);
    let untouched = "SELECT count(*) FROM highwater.backup_record AS record JOIN highwater.backup_job AS job ON job.id = record.job
                      WHERE job.state = 'succeeded' AND record.sha256 LIKE 'abab%'";
    assert_eq!(count(&session, untouched).await, 1);
    assert_eq!(count(&session, "SELECT count(*) FROM highwater.run_slot").await, 0);
    // The same event id and place from another host are another report.
    let verdicts = apply(&mut session, ours.host, &[run[0].clone()]).await;
    assert_eq!(verdicts, [Rejected], "the job is theirs");
    // Nor can a row be written that ties one tenant's group to another's repository.
    let mixed = "UPDATE highwater.source_group SET repository = (SELECT id FROM highwater.repository AS other WHERE other.tenant <> source_group.tenant LIMIT 1)";
    let refused = session.batch(mixed).await.unwrap_err();
    assert_eq!(refused.server().unwrap().constraint.as_deref(), Some("source_group_repository_exists"));
}
