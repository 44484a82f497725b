//! Records: listed, pinned, held against a repository; retention shows what would go; silence ends jobs by inference.

use highwater::db::{Executor, Session};
use highwater::job::{alarm, pending, sweep};
use serde_json::{Value, json};
use uuid::Uuid;

use super::site::{Reporter, apply, count, site, text};
use crate::rollup::field;
use crate::support::TestDb;
use crate::support::program::highwater;

async fn document(db: &TestDb, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    serde_json::from_str(&highwater(db, &all).await.success().stdout).unwrap()
}

async fn sweep(session: &mut Session) -> sweep::Swept {
    let tx = session.begin().await.unwrap();
    let swept = sweep::pass(&tx).await.unwrap();
    tx.commit().await.unwrap();
    swept
}

#[tokio::test]
async fn records_are_listed_pinned_and_held_against_their_repository() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    for day in 4..9 {
        let run = reporter.run(Uuid::now_v7(), "home", &format!("2026-03-0{day}T03:00:00Z"), "succeeded");
        apply(&mut session, site.host, &run).await;
    }
    let page =
        document(&db, &["records", "list", "--host", "laptop", "--group", "home", "--limit", "3"]).await;
    let next = document(
        &db,
        &[
            "records",
            "list",
            "--host",
            "laptop",
            "--limit",
            "3",
            "--cursor",
            page["next_cursor"].as_str().unwrap(),
        ],
    )
    .await;
    assert_eq!(
        (page["records"].as_array().unwrap().len(), next["records"].as_array().unwrap().len()),
        (3, 2)
    );
    let ids: Vec<String> = page["records"]
        .as_array()
        .unwrap()
        .iter()
        .chain(next["records"].as_array().unwrap())
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect();
    // Three go, but for the one that is pinned.
    document(&db, &["groups", "edit", "laptop", "home", "--keep-last", "2"]).await;
    document(&db, &["records", "pin", &ids[3]]).await;
    let plan = document(&db, &["retention", "plan", "laptop", "home"]).await["plans"][0].clone();
    let going: Vec<&str> =
        plan["decisions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(going, [&ids[2], &ids[4]]);
    assert_eq!(plan["decisions"][0]["rules"][0], "none of last 2");
    let said = highwater(&db, &["retention", "plan", "--all"]).await.success().stdout;
    assert!(said.contains("would go") && said.contains("pinned") && said.contains("last 1 of 2"), "{said}");
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.backup_record WHERE state = 'complete'").await,
        5,
        "a plan changes nothing"
    );
    // The repository lost one, and has one that nobody knows.
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("archives");
    let stranger = Uuid::now_v7();
    std::fs::write(&list, format!("{}\n{}\n\n{}\n{}\n{stranger}\n", ids[0], ids[1], ids[2], ids[3])).unwrap();
    let list = list.to_str().unwrap();
    let reconcile = ["records", "reconcile", "laptop", "--repository", "/srv/acme/laptop", "--present", list];
    let found = document(&db, &reconcile).await["reconciled"].clone();
    assert_eq!(
        found,
        json!({"missing": [ids[4]], "found": [], "unknown": [stranger.to_string()], "agreeing": 4})
    );
    std::fs::write(list, ids.join("\n")).unwrap();
    let found = document(&db, &reconcile).await["reconciled"].clone();
    assert_eq!(found["found"], json!([ids[4]]));
    std::fs::write(list, "not an id\n").unwrap();
    let refused = highwater(&db, &reconcile).await;
    assert!(refused.code() == 2 && refused.stderr.contains("line 1: \"not an id\" is no id"), "{refused:?}");
    // Asked of the host, and written down.
    document(&db, &["records", "verify", &ids[0]]).await;
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.backup_record WHERE verify_requested_at IS NOT NULL")
            .await,
        1
    );
    document(&db, &["records", "verify", &ids[0], "--found", "corrupt", "--words", "digest differs"]).await;
    let shown = document(&db, &["records", "show", &ids[0]]).await["record"].clone();
    assert_eq!(
        (&shown["state"], &shown["verify_result"], &shown["verify_requested_at"]),
        (&"corrupt".into(), &"digest differs".into(), &Value::Null)
    );
    // Another tenant sees none of it.
    for refused in [
        &["records", "show", &ids[1]][..],
        &["records", "pin", &ids[1]],
        &["records", "unpin", &ids[3]],
        &["records", "verify", &ids[1]],
    ] {
        let mut arguments = refused.to_vec();
        arguments.extend(["--tenant", "umbrella"]);
        let ended = highwater(&db, &arguments).await;
        assert!(ended.code() == 2 && ended.stderr.contains("there is no record"), "{ended:?}");
    }
}

#[tokio::test]
async fn silence_makes_a_job_lost_then_ends_it_and_a_report_overrules() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let now =
        text(&session, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").await;
    let job = Uuid::now_v7();
    let mut reporter = Reporter::new(1, &now);
    let mut run = reporter.run(job, "home", &now, "succeeded");
    let end = run.pop().unwrap();
    let published = run.pop().unwrap();
    apply(&mut session, site.host, &run).await;
    assert_eq!(sweep(&mut session).await, sweep::Swept::default(), "without a lease nothing is lost");
    session.batch("UPDATE highwater.backup_job SET lease_token = 1, lease_until = clock_timestamp() - interval '4 minutes'").await.unwrap();
    assert_eq!(sweep(&mut session).await, sweep::Swept::default(), "grace");
    session
        .batch("UPDATE highwater.backup_job SET lease_until = clock_timestamp() - interval '6 minutes'")
        .await
        .unwrap();
    assert_eq!(sweep(&mut session).await, sweep::Swept { lost: 1, interrupted: 0 });
    assert_eq!(
        text(&session, "SELECT state || ' ' || (outcome IS NULL) FROM highwater.backup_job").await,
        "lost true"
    );
    session
        .batch("UPDATE highwater.backup_job SET lease_until = now() - interval '25 hours', reported_at = now() - interval '25 hours', opened_at = now() - interval '26 hours';
                UPDATE highwater.job_event SET received_at = now() - interval '25 hours'")
        .await
        .unwrap();
    assert_eq!(sweep(&mut session).await, sweep::Swept { lost: 0, interrupted: 1 });
    assert_eq!(
        text(&session, "SELECT concat_ws(' ', state, outcome, is_inferred) FROM highwater.backup_job").await,
        "interrupted bad t"
    );
    assert_eq!(text(&session, "SELECT state FROM highwater.backup_record").await, "failed");
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.alarm WHERE kind = 'failed' AND state = 'raised'")
            .await,
        1
    );
    apply(&mut session, site.host, &[published, end]).await;
    assert_eq!(
        text(
            &session,
            "SELECT concat_ws(' ', state, outcome, is_inferred, has_conflict) FROM highwater.backup_job"
        )
        .await,
        "succeeded good f f"
    );
    assert_eq!(text(&session, "SELECT state FROM highwater.backup_record").await, "complete");
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.alarm WHERE kind = 'failed' AND state <> 'resolved'")
            .await,
        0
    );
    assert_eq!(sweep(&mut session).await, sweep::Swept::default());
    field::drain(&mut session, "backup_job_hourly").await;
    assert_eq!(field::verify(&db, "backup_job_hourly").await.drifted, 0);
}

#[tokio::test]
async fn a_record_underway_is_left_alone_while_its_job_lives() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let mut slow = reporter.run(Uuid::now_v7(), "home", "2026-03-04T03:00:00Z", "succeeded");
    let rest = slow.split_off(slow.len() - 2);
    apply(&mut session, site.host, &slow).await;
    for day in 5..9 {
        let run = reporter.run(Uuid::now_v7(), "home", &format!("2026-03-0{day}T03:00:00Z"), "succeeded");
        apply(&mut session, site.host, &run).await;
    }
    let underway =
        text(&session, "SELECT id::text FROM highwater.backup_record WHERE state = 'underway'").await;
    document(&db, &["groups", "edit", "laptop", "home", "--keep-last", "1"]).await;
    let plan = document(&db, &["retention", "plan", "laptop", "home"]).await["plans"][0].to_string();
    assert!(!plan.contains(&underway), "{plan}");
    // The repository does not show it yet. Its reports are of last spring, but they have just come: more may be behind them.
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("archives");
    std::fs::write(&list, "\n").unwrap();
    document(
        &db,
        &[
            "records",
            "reconcile",
            "laptop",
            "--repository",
            "/srv/acme/laptop",
            "--present",
            list.to_str().unwrap(),
        ],
    )
    .await;
    sweep(&mut session).await;
    let state = format!("SELECT state FROM highwater.backup_record WHERE id = '{underway}'");
    assert_eq!(text(&session, &state).await, "underway");
    apply(&mut session, site.host, &rest).await;
    assert_eq!(text(&session, &state).await, "complete");
}

#[tokio::test]
async fn lists_and_retention_count_records_by_one_time() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    // The long one begins first and ends last.
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let mut long = reporter.run(Uuid::now_v7(), "home", "2026-03-04T03:00:00Z", "succeeded");
    let rest = long.split_off(long.len() - 2);
    apply(&mut session, site.host, &long).await;
    let short = reporter.run(Uuid::now_v7(), "home", "2026-03-05T03:00:00Z", "succeeded");
    apply(&mut session, site.host, &short).await;
    let mut late = Vec::new();
    for mut event in rest {
        event["event_at"] = json!("2026-03-05T09:00:00Z");
        event["mono_ms"] = json!(7 * 3_600_000);
        late.push(event);
    }
    apply(&mut session, site.host, &late).await;
    document(&db, &["groups", "edit", "laptop", "home", "--keep-last", "1"]).await;
    let page = document(&db, &["records", "list", "--host", "laptop"]).await;
    let ids: Vec<&str> =
        page["records"].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap()).collect();
    let plan = document(&db, &["retention", "plan", "laptop", "home"]).await["plans"][0].clone();
    let going: Vec<&str> =
        plan["decisions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), going), (2, vec![ids[1]]), "the last of the list goes");
    let newest = format!(
        "SELECT to_char(kept_at AT TIME ZONE 'UTC', 'HH24:MI') FROM highwater.backup_record WHERE id = '{}'",
        ids[0]
    );
    assert_eq!(text(&session, &newest).await, "09:00");
}

#[tokio::test]
async fn what_is_wrong_for_as_long_as_it_lasts_is_one_alarm_for_as_long() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let standing = "SELECT coalesce(string_agg(kind || ' ' || state || ' ' || times, ', ' ORDER BY kind), '') FROM highwater.alarm";
    alarm::standing(&session).await.unwrap();
    assert_eq!(text(&session, standing).await, "", "nobody asked for an RPO");
    session
        .batch("UPDATE highwater.host SET rpo = '26 hours'; UPDATE highwater.source_group SET created_at = now() - interval '2 days';
                INSERT INTO highwater.rollup_slice (rollup, slice_start, slice_end, state, drifted_rows, drifted_at)
                VALUES ('usage_hourly', '2024-03-01 00:00+00', '2024-04-01 00:00+00', 'complete', 3, now())")
        .await
        .unwrap();
    alarm::standing(&session).await.unwrap();
    alarm::standing(&session).await.unwrap();
    assert_eq!(text(&session, standing).await, "drift raised 1, over_rpo raised 1");
    assert!(
        text(&session, "SELECT message FROM highwater.alarm WHERE kind = 'over_rpo'")
            .await
            .contains("home on laptop does not exist")
    );
    let now = text(
        &session,
        "SELECT to_char((now() - interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    )
    .await;
    let run = Reporter::new(1, &now).run(Uuid::now_v7(), "home", &now, "succeeded");
    apply(&mut session, site.host, &run).await;
    session.batch("UPDATE highwater.rollup_slice SET drifted_rows = NULL, drifted_at = NULL").await.unwrap();
    alarm::standing(&session).await.unwrap();
    assert_eq!(text(&session, standing).await, "drift resolved 1, over_rpo resolved 1");
}

#[tokio::test]
async fn what_is_to_go_is_handed_to_the_host_and_gone_when_it_says_so() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    for day in 4..8 {
        let run = reporter.run(Uuid::now_v7(), "home", &format!("2026-03-0{day}T03:00:00Z"), "succeeded");
        apply(&mut session, site.host, &run).await;
    }
    document(&db, &["groups", "edit", "laptop", "home", "--keep-last", "2"]).await;
    let owe = format!(
        "UPDATE highwater.backup_job SET state = 'cancelled', finished_at = now(), ended_by = '{{7,0,0,0}}' WHERE ended_by IS NULL;
         INSERT INTO highwater.pending_run (tenant, host, source_group, slot_at, reason)
         SELECT tenant, id, '{}', clock_timestamp(), 'manual' FROM highwater.host",
        site.group
    );
    session.batch(&owe).await.unwrap();
    let work = pending::claim(&mut session, site.host).await.unwrap();
    let going: Vec<Uuid> = work[0].prune.iter().map(|one| one.record.0).collect();
    assert_eq!((work.len(), going.len(), work[0].prune[0].reason.as_str()), (1, 2, "none of last 2"));
    let states = "SELECT string_agg(state, ' ' ORDER BY kept_at) FROM highwater.backup_record";
    assert_eq!(text(&session, states).await, "pruning pruning complete complete");
    let said = highwater(&db, &["records", "pin", &going[0].to_string()]).await;
    assert!(said.code() == 2 && said.stderr.contains("is pruning"), "{said:?}");
    let step = |id: Uuid, state: &str| json!({"step": format!("remove/{id}"), "state": state});
    let job = work[0].job.0;
    let done = [
        reporter.report(job, "step.finished", step(going[0], "succeeded")),
        reporter.report(job, "step.finished", step(going[1], "failed")),
        reporter.report(job, "job.finished", json!({"state": "warned"})),
    ];
    apply(&mut session, site.host, &done).await;
    assert_eq!(text(&session, states).await, "pruned pruning complete complete");
    // What could not be removed is handed out again.
    session.batch(&owe).await.unwrap();
    let work = pending::claim(&mut session, site.host).await.unwrap();
    assert_eq!(work[0].prune.iter().map(|one| one.record.0).collect::<Vec<_>>(), [going[1]]);
}
