//! One batch of reports: what each verdict means, and that nothing is lost, doubled or taken from another.

use highwater::db::Executor;
use highwater::ground::wire::verdict::Verdict;
use highwater::job::event::apply as applying;
use serde_json::{Value, json};
use uuid::Uuid;

use super::site::{Reporter, apply, count, schedule, site, text};
use crate::rollup::field;

#[tokio::test]
async fn a_report_is_applied_once_and_a_repetition_has_no_effect() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let job = Uuid::now_v7();
    let run = Reporter::new(1, "2026-03-05T02:00:00Z").run(job, "home", "2026-03-05T03:00:00Z", "succeeded");
    let verdicts = apply(&mut session, site.host, &run).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Applied), "{verdicts:?}");
    let mut twice = run.clone();
    twice.extend(run.clone());
    let verdicts = apply(&mut session, site.host, &twice).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Duplicate), "{verdicts:?}");
    let job = text(&session, "SELECT concat_ws(' ', state, outcome, bytes_added, files, progress_bytes, attempt, reason) FROM highwater.backup_job").await;
    assert_eq!(job, "succeeded good 700 12 3000 1 cron");
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.job_event").await,
        i64::try_from(run.len()).unwrap()
    );
    assert_eq!(text(&session, "SELECT state FROM highwater.backup_record").await, "complete");
}

#[tokio::test]
async fn an_older_report_is_stale_and_never_moves_a_job_back() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let job = Uuid::now_v7();
    let old = reporter.report(job, "job.progress", json!({"bytes_done": 1}));
    let step = reporter.report(job, "step.started", json!({"step": "backup"}));
    let new = reporter.report(job, "job.progress", json!({"bytes_done": 2}));
    let end = reporter.report(job, "job.finished", json!({"state": "failed"}));
    let again = reporter.report(job, "job.finished", json!({"state": "failed"}));
    let verdicts = apply(&mut session, site.host, &[end, new, old, again, step]).await;
    use Verdict::{Applied, Stale};
    assert_eq!(verdicts, [Applied, Applied, Stale, Stale, Applied]);
    assert_eq!(
        text(&session, "SELECT state || ' ' || progress_bytes FROM highwater.backup_job").await,
        "failed 2"
    );
}

#[tokio::test]
async fn two_ends_are_a_conflict_that_is_kept_shown_and_an_alarm() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let job = Uuid::now_v7();
    let one = reporter.report(job, "job.finished", json!({"state": "interrupted"}));
    let other = reporter.report(job, "job.finished", json!({"state": "succeeded"}));
    assert_eq!(apply(&mut session, site.host, &[one]).await, [Verdict::Applied]);
    assert_eq!(apply(&mut session, site.host, &[other]).await, [Verdict::Conflict]);
    assert_eq!(
        text(&session, "SELECT state || ' ' || has_conflict FROM highwater.backup_job").await,
        "succeeded true"
    );
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.job_event WHERE kind = 'job.finished'").await,
        2
    );
    assert_eq!(
        count(&session, "SELECT count(*) FROM highwater.alarm WHERE kind = 'conflict' AND state = 'raised'")
            .await,
        1
    );
}

#[tokio::test]
async fn the_same_place_with_another_id_is_a_conflict_and_never_a_duplicate() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let job = Uuid::now_v7();
    let one = Reporter::new(1, "2026-03-05T02:00:00Z").report(job, "job.started", json!({}));
    let mut same_place = one.clone();
    same_place["event_id"] = json!(Uuid::now_v7());
    let mut same_id = one.clone();
    same_id["seq"] = json!(77);
    let verdicts = apply(&mut session, site.host, &[one, same_place, same_id]).await;
    assert_eq!(verdicts, [Verdict::Applied, Verdict::Conflict, Verdict::Conflict]);
    assert_eq!(count(&session, "SELECT count(*) FROM highwater.job_event").await, 1);
}

#[tokio::test]
async fn an_impossible_report_costs_nobody_else_a_verdict() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let job = Uuid::now_v7();
    let batch = [
        json!("no event"),
        reporter.report(job, "job.opened", json!({"source_group": "nowhere"})),
        reporter.report(job, "job.started", json!({})),
        reporter.report(job, "job.paused", json!({})),
    ];
    let lines = applying::apply(&mut session, site.host, &batch).await.unwrap();
    let verdicts: Vec<Verdict> = lines.iter().map(|line| line.verdict).collect();
    use Verdict::{Applied, Rejected};
    assert_eq!(verdicts, [Rejected, Rejected, Applied, Rejected]);
    assert_eq!(lines[0].event_id, None);
    assert!(lines[1].detail.as_deref().unwrap().contains("\"nowhere\" is not known"), "{lines:?}");
    assert_eq!(count(&session, "SELECT count(*) FROM highwater.job_event").await, 1);
    assert_eq!(applying::apply(&mut session, site.host, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_clock_two_days_ahead_suppresses_nothing_and_is_flagged() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let job = Uuid::now_v7();
    let ahead = text(
        &session,
        "SELECT to_char((now() + interval '2 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    )
    .await;
    let mut reporter = Reporter::new(1, &ahead);
    let slot = ahead.clone();
    let run = reporter.run(job, "home", &slot, "succeeded");
    let verdicts = apply(&mut session, site.host, &run).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Applied), "{verdicts:?}");
    let flagged = "SELECT count(*) FROM highwater.job_event WHERE is_clamped AND event_at <= received_at + interval '1 second'
                      AND raw_event_at > received_at + interval '1 day'";
    assert_eq!(count(&session, flagged).await, i64::try_from(run.len()).unwrap());
    assert_eq!(
        count(
            &session,
            "SELECT count(*) FROM highwater.backup_job WHERE finished_at < now() + interval '1 minute'"
        )
        .await,
        1
    );
    assert_eq!(count(&session, "SELECT count(*) FROM highwater.alarm WHERE kind = 'clock'").await, 1);
    // A host that knows its skew is corrected to the second, and flagged no more.
    let other = Uuid::now_v7();
    let mut known = Reporter::new(2, &ahead).report(other, "job.started", json!({}));
    known["skew_ms"] = json!(2 * 24 * 3_600_000_i64);
    apply(&mut session, site.host, &[known]).await;
    let right = format!(
        "SELECT count(*) FROM highwater.backup_job WHERE id = '{other}' AND started_at = timestamptz '{ahead}' - interval '2 days' + interval '1 minute'"
    );
    assert_eq!(count(&session, &right).await, 1);
}

#[tokio::test]
async fn batches_of_one_host_at_once_apply_each_report_once() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let run = Reporter::new(1, "2026-03-05T02:00:00Z").run(
        Uuid::now_v7(),
        "home",
        "2026-03-05T03:00:00Z",
        "succeeded",
    );
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (target, run, host) = (db.target(), run.clone(), site.host);
            tokio::spawn(async move {
                let mut session = highwater::db::connect::connect(&target, "test").await.unwrap();
                apply(&mut session, host, &run).await
            })
        })
        .collect();
    let mut applied = 0;
    for task in tasks {
        let verdicts = task.await.unwrap();
        assert!(
            verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied | Verdict::Duplicate)),
            "{verdicts:?}"
        );
        applied += verdicts.iter().filter(|verdict| **verdict == Verdict::Applied).count();
    }
    assert_eq!(applied, run.len());
}

#[tokio::test]
async fn a_batch_that_is_cut_off_leaves_nothing_behind() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let run = Reporter::new(1, "2026-03-05T02:00:00Z").run(
        Uuid::now_v7(),
        "home",
        "2026-03-05T03:00:00Z",
        "succeeded",
    );
    // The host's row is held, so that the batch waits in the middle; then its connection is ended.
    let mut holder = db.session().await;
    let tx = holder.begin().await.unwrap();
    tx.batch("LOCK TABLE highwater.backup_record IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (target, host, batch) = (db.target(), site.host, run.clone());
    let cut = tokio::spawn(async move {
        let mut session = highwater::db::connect::connect(&target, "test").await.unwrap();
        applying::apply(&mut session, host, &batch).await
    });
    field::until(
        &session,
        "the batch waits",
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'highwater.backup_record'::regclass)",
    )
    .await;
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE NOT granted AND relation = 'highwater.backup_record'::regclass";
    session.query(end, &[]).await.unwrap();
    cut.await.unwrap().unwrap_err();
    tx.rollback().await.unwrap();
    assert_eq!(count(&session, "SELECT count(*) FROM highwater.backup_job").await, 0);
    assert_eq!(count(&session, "SELECT count(*) FROM highwater.job_event").await, 0);
    let verdicts = apply(&mut session, site.host, &run).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Applied), "{verdicts:?}");
}

#[tokio::test]
async fn slots_at_which_nothing_ran_only_move_up() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    let schedule = schedule(&session, &site).await;
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let mut slot = |kind: &str, why: Value| {
        let payload = json!({"source_group": "home", "schedule": schedule, "slot_at": "2026-03-05T03:00:00Z", "why": why});
        let mut event = reporter.report(Uuid::now_v7(), kind, payload);
        event["job"] = Value::Null;
        event
    };
    let (missed, skipped, late) = (
        slot("slot.missed", json!("asleep")),
        slot("slot.skipped", json!("on battery")),
        slot("slot.missed", json!("again")),
    );
    apply(&mut session, site.host, &[missed, skipped]).await;
    apply(&mut session, site.host, &[late]).await;
    assert_eq!(
        text(&session, "SELECT string_agg(how || ': ' || why, ', ') FROM highwater.run_slot").await,
        "skipped: on battery"
    );
}

#[tokio::test]
async fn a_failure_is_one_alarm_and_a_good_backup_resolves_it() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let site = site(&mut session, "acme", "laptop").await;
    session.batch("INSERT INTO highwater.alarm_channel (name, kind, url) VALUES ('ops', 'webhook', 'https://example.org/hook')").await.unwrap();
    let mut reporter = Reporter::new(1, "2026-03-05T02:00:00Z");
    let mut run = |day: u8, state: &str| {
        let slot = format!("2026-03-{day:02}T03:00:00Z");
        reporter.run(Uuid::now_v7(), "home", &slot, state)
    };
    let (first, second, good, late) =
        (run(5, "failed"), run(6, "failed"), run(8, "succeeded"), run(7, "failed"));
    let open = "SELECT coalesce(string_agg(kind || ' ' || state || ' ' || times, ', ' ORDER BY raised_at), '') FROM highwater.alarm";
    apply(&mut session, site.host, &first).await;
    apply(&mut session, site.host, &second).await;
    assert_eq!(text(&session, open).await, "failed raised 2");
    apply(&mut session, site.host, &good).await;
    assert_eq!(text(&session, open).await, "failed resolved 2");
    // A failure of an older slot that is reported afterwards says nothing about today.
    apply(&mut session, site.host, &late).await;
    assert_eq!(text(&session, open).await, "failed resolved 2");
    let told = "SELECT string_agg(event || ' ' || state, ', ' ORDER BY event) FROM highwater.alarm_delivery";
    assert_eq!(text(&session, told).await, "raised waiting, resolved waiting");
    assert!(
        text(&session, "SELECT message FROM highwater.alarm")
            .await
            .contains("home on laptop failed: disk full")
    );
}
