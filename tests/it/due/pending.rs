//! Owed runs: handed out, acknowledged, tried again, given up.

use chrono::TimeDelta;
use futures_util::future::join_all;
use highwater::db::Session;
use highwater::ground::wire::fire::{Fire, Fired};
use highwater::ground::wire::id::{GroupId, HostId, JobId, LeaseToken, ScheduleId};
use highwater::job::JobError;
use highwater::job::pending::{self, Renewal};
use highwater::job::schedule;

use super::site::{Site, site};

/// A host with one group and one overdue schedule whose run is owed.
async fn owed() -> (Site, uuid::Uuid, uuid::Uuid, uuid::Uuid) {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "data").await;
    let schedule = site.hourly(host, &[group], "one", 1).await;
    site.materialise().await;
    assert_eq!(site.sweep().await.runs, 1);
    (site, host, group, schedule)
}

/// A fire in a transaction of its own.
async fn fire_once(session: &mut Session, host: HostId, fire: &Fire) -> Result<(Fired, bool), JobError> {
    let tx = session.begin().await?;
    let fired = pending::fire(&tx, host, fire).await?;
    tx.commit().await?;
    Ok(fired)
}

#[tokio::test]
async fn a_run_is_handed_out_once_and_its_slot_ran_when_it_ends_well() {
    let (mut site, host, group, schedule) = owed().await;
    let given = site.claim(host).await;
    assert_eq!(given.len(), 1);
    assert_eq!((given[0].source_group, given[0].attempt), (GroupId(group), 1));
    assert!(site.claim(host).await.is_empty(), "handed out already");
    assert_eq!(site.runs(schedule).await, ["catchup claimed"]);
    site.end(&given[0], host, "succeeded").await;
    assert_eq!(site.settle().await.good, 1);
    assert_eq!(site.runs(schedule).await, ["catchup dispatched"]);
    assert_eq!(site.texts_of_slots().await, ["ran"]);
    // Settled once: nothing is left to do, and nothing is overdue.
    assert_eq!(site.settle().await.good, 0);
    assert_eq!(site.sweep().await.runs, 0);
}

#[tokio::test]
async fn many_polls_at_once_hand_a_run_out_once() {
    let (site, host, _, _) = owed().await;
    let polls = (0..8).map(|_| async {
        let mut session = site.db.session().await;
        pending::claim(&mut session, HostId(host)).await.unwrap().len()
    });
    assert_eq!(join_all(polls).await.iter().sum::<usize>(), 1);
    assert_eq!(site.count("backup_job").await, 1);
}

#[tokio::test]
async fn a_dispatch_without_an_answer_comes_again_as_the_same_job_and_is_given_up_in_the_end() {
    let (mut site, host, _, schedule) = owed().await;
    let first = site.claim(host).await.remove(0);
    for time in 1..=3 {
        site.run(
            "UPDATE highwater.pending_run SET lease_until = now() - interval '1 second';
                  UPDATE highwater.backup_job SET lease_until = now() - interval '1 second'",
        )
        .await;
        assert_eq!(site.settle().await.requeued, 1, "{time}");
        assert!(site.claim(host).await.is_empty(), "it waits, longer each time");
        if time == 3 {
            break;
        }
        site.run("UPDATE highwater.pending_run SET not_before = now()").await;
        let again = site.claim(host).await.remove(0);
        assert_eq!((again.job, again.attempt), (first.job, 1));
        assert!(again.lease_token > first.lease_token);
        // The first token is void: a host that wakes with it must stop.
        let late = pending::renew(&site.session, HostId(host), first.job, first.lease_token).await.unwrap();
        assert_eq!(late, Renewal::Lost);
    }
    assert_eq!(site.runs(schedule).await, ["catchup abandoned"]);
    assert_eq!(site.texts_of_slots().await, ["missed: dispatched 3 times without an answer"]);
}

#[tokio::test]
async fn a_failure_is_tried_again_after_growing_pauses_and_given_up_with_a_reason() {
    let (mut site, host, _, schedule) = owed().await;
    let mut previous: Option<JobId> = None;
    for attempt in 1..=3_u32 {
        let job = site.claim(host).await.remove(0);
        assert_eq!(job.attempt, attempt);
        assert_ne!(Some(job.job), previous, "a retry is a row of its own");
        let retry_of = site
            .texts(&format!(
                "SELECT coalesce(retry_of::text, '') FROM highwater.backup_job WHERE id = '{}'",
                job.job
            ))
            .await;
        assert_eq!(retry_of, [previous.map(|job| job.to_string()).unwrap_or_default()]);
        site.end(&job, host, "failed").await;
        site.settle().await;
        assert!(site.claim(host).await.is_empty(), "it pauses");
        let pause =
            "SELECT extract(epoch FROM backoff_until - now())::int8 / 60 FROM highwater.schedule_progress";
        let minutes: i64 = crate::rollup::field::number(&site.session, pause).await;
        assert!((9 * i64::from(attempt.min(2))..=40).contains(&minutes), "{attempt}: {minutes}");
        site.run("UPDATE highwater.pending_run SET not_before = now() WHERE state = 'waiting'").await;
        previous = Some(job.job);
    }
    assert_eq!(site.runs(schedule).await, ["retry abandoned"]);
    assert_eq!(site.texts_of_slots().await, ["ran: given up after 3 attempts: said so"]);
    // Given up is given up: no sweep brings the slot back.
    site.run("UPDATE highwater.schedule_progress SET backoff_until = NULL").await;
    assert_eq!(site.sweep().await.runs, 0);
}

#[tokio::test]
async fn nothing_that_happens_to_its_schedules_starts_a_group_twice() {
    let (mut site, host, group, schedule) = owed().await;
    assert_eq!(site.claim(host).await.len(), 1);
    let found = schedule::find(&site.session, &schedule.to_string(), None).await.unwrap();
    for enabled in [false, true] {
        let edit = schedule::Edit { enabled: Some(enabled), ..schedule::Edit::default() };
        let found = schedule::find(&site.session, &schedule.to_string(), None).await.unwrap();
        let tx = site.session.begin().await.unwrap();
        schedule::edit(&tx, &found, &edit).await.unwrap();
        tx.commit().await.unwrap();
        site.sweep().await;
        assert!(site.claim(host).await.is_empty(), "enabled {enabled}");
    }
    let tx = site.session.begin().await.unwrap();
    schedule::remove(&tx, &found).await.unwrap();
    tx.commit().await.unwrap();
    // Another schedule of the same group, overdue at once, and a host that says hello after a restart.
    site.hourly(host, &[group], "all", 3).await;
    site.materialise().await;
    site.hello(host).await;
    site.settled(host).await;
    site.sweep().await;
    assert!(site.claim(host).await.is_empty());
    let polls = (0..20).map(|_| async {
        let mut session = site.db.session().await;
        pending::claim(&mut session, HostId(host)).await.unwrap().len()
    });
    assert_eq!(join_all(polls).await.iter().sum::<usize>(), 0);
    assert_eq!(site.count("backup_job").await, 1);
}

#[tokio::test]
async fn a_success_that_is_reported_late_ends_the_wait_for_the_next_attempt() {
    let (mut site, host, _, schedule) = owed().await;
    let job = site.claim(host).await.remove(0);
    site.end(&job, host, "interrupted").await;
    site.settle().await;
    assert_eq!(site.runs(schedule).await, ["retry waiting"]);
    site.report(job.job.0, "succeeded").await;
    assert_eq!(site.settle().await.good, 1);
    site.run("UPDATE highwater.pending_run SET not_before = now()").await;
    assert!(site.claim(host).await.is_empty(), "a finished backup is not run again");
    assert_eq!(site.texts_of_slots().await, ["ran"]);
}

#[tokio::test]
async fn a_group_with_two_repositories_is_good_when_both_are() {
    let (mut site, host, group, schedule) = owed().await;
    site.run(&format!(
        "WITH repository AS (INSERT INTO highwater.repository (tenant, kind, url) VALUES ('{}', 'directory', '/mnt/second') RETURNING id)
         INSERT INTO highwater.group_repository SELECT '{group}', id FROM repository",
        site.tenant
    ))
    .await;
    let jobs = site.claim(host).await;
    assert_eq!(jobs.len(), 2);
    site.end(&jobs[0], host, "succeeded").await;
    assert_eq!(site.settle().await.good, 0, "one is still at work");
    site.end(&jobs[1], host, "failed").await;
    site.settle().await;
    site.run("UPDATE highwater.pending_run SET not_before = now()").await;
    let again = site.claim(host).await;
    assert_eq!(
        again.iter().map(|job| job.repository).collect::<Vec<_>>(),
        [jobs[1].repository],
        "only what failed"
    );
    site.end(&again[0], host, "succeeded").await;
    assert_eq!(site.settle().await.good, 1);
    assert_eq!(site.runs(schedule).await, ["retry dispatched"]);
}

#[tokio::test]
async fn hosts_and_repositories_take_no_more_than_they_may() {
    let mut site = site().await;
    let (one, two) = (site.host("one", "always_on").await, site.host("two", "always_on").await);
    let mut groups = Vec::new();
    for (host, name) in [(one, "a"), (one, "b"), (one, "c"), (two, "d")] {
        let group = site.group(host, name).await;
        site.hourly(host, &[group], "one", 1).await;
        groups.push(group);
    }
    // a and d share a repository that takes one; host one takes two.
    site.run(&format!(
        "UPDATE highwater.host SET max_concurrent = 2;
         UPDATE highwater.group_repository SET repository = (SELECT repository FROM highwater.group_repository WHERE source_group = '{}')
          WHERE source_group = '{}'",
        groups[0], groups[3]
    ))
    .await;
    site.materialise().await;
    assert_eq!(site.sweep().await.runs, 4);
    let first = site.claim(one).await;
    assert_eq!(first.len(), 2);
    let takes_a = first.iter().any(|job| job.source_group == GroupId(groups[0]));
    let of_two = site.claim(two).await;
    assert_eq!(of_two.len(), usize::from(!takes_a), "the repository is taken by one of them");
    assert!(site.claim(one).await.is_empty());
    for job in &first {
        site.end(job, one, "succeeded").await;
    }
    for job in &of_two {
        site.end(job, two, "succeeded").await;
    }
    site.settle().await;
    let left = site.claim(one).await.len() + site.claim(two).await.len();
    assert_eq!(left + first.len() + of_two.len(), 4);
}

#[tokio::test]
async fn a_fire_of_the_host_and_the_servers_slot_are_one_run() {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "data").await;
    let schedule = site.hourly(host, &[group], "one", 1).await;
    let fire = Fire {
        schedule: ScheduleId(schedule),
        source_group: GroupId(group),
        slot_at: site.last_slot().await,
    };
    let (fired, is_new) = fire_once(&mut site.session, HostId(host), &fire).await.unwrap();
    assert!(is_new);
    assert_eq!(fired.state, "waiting");
    // Once more, and by the server: the same run.
    assert_eq!(fire_once(&mut site.session, HostId(host), &fire).await.unwrap(), (fired.clone(), false));
    site.materialise().await;
    assert_eq!((site.count("run_slot").await, site.count("pending_run").await), (1, 1));
    assert_eq!(site.claim(host).await[0].run, Some(fired.run));
    // What is no slot, what has not come, and what is another host's.
    let other = site.host("other", "always_on").await;
    for (host, slot_at, of_host) in [
        (host, fire.slot_at + TimeDelta::seconds(1), true),
        (host, fire.slot_at + TimeDelta::hours(1), true),
        (other, fire.slot_at, false),
    ] {
        let fire = Fire { slot_at, ..fire.clone() };
        let refused = fire_once(&mut site.session, HostId(host), &fire).await.unwrap_err();
        assert_eq!(matches!(refused, JobError::NotASlot { .. }), of_host, "{refused}");
        assert_eq!(matches!(refused, JobError::NotOfHost { .. }), !of_host, "{refused}");
    }
}

#[tokio::test]
async fn a_job_that_the_host_began_by_itself_answers_its_slot_and_takes_the_owed_run() {
    let (mut site, host, group, schedule) = owed().await;
    let slot = site.last_slot().await;
    site.run(&format!(
        "INSERT INTO highwater.backup_job (tenant, host, source_group, repository, schedule, reason, slot_at, state, started_at, finished_at, ended_by)
         SELECT '{}', '{host}', '{group}', repository, '{schedule}', 'cron', '{slot}', 'succeeded', now(), now(), '{{4,0,0,0}}'
           FROM highwater.source_group WHERE id = '{group}'",
        site.tenant
    ))
    .await;
    let settled = site.settle().await;
    assert_eq!((settled.adopted, settled.good), (1, 1));
    assert!(site.claim(host).await.is_empty(), "it is not run again");
    assert_eq!(site.texts_of_slots().await, ["ran"]);
    assert_eq!(site.count("pending_run").await, 1);
}

#[tokio::test]
async fn a_lease_is_renewed_told_of_a_cancellation_lost_or_gone() {
    let (mut site, host, _, _) = owed().await;
    let job = site.claim(host).await.remove(0);
    let renew =
        async |site: &Site, token| pending::renew(&site.session, HostId(host), job.job, token).await.unwrap();
    let Renewal::Renewed(renewed) = renew(&site, job.lease_token).await else { panic!("it is ours") };
    assert!(!renewed.cancel && renewed.lease_until > job.lease_until);
    site.run("UPDATE highwater.backup_job SET cancel_requested_at = now(), state = 'lost'").await;
    let Renewal::Renewed(renewed) = renew(&site, job.lease_token).await else { panic!("taken back") };
    assert!(renewed.cancel);
    assert_eq!(site.texts("SELECT state FROM highwater.backup_job").await, ["dispatched"]);
    assert_eq!(renew(&site, LeaseToken(job.lease_token.0 + 1)).await, Renewal::Lost);
    site.report(job.job.0, "cancelled").await;
    assert_eq!(renew(&site, job.lease_token).await, Renewal::Gone);
    let unknown = pending::renew(&site.session, HostId(host), JobId::fresh(), job.lease_token).await.unwrap();
    assert_eq!(unknown, Renewal::Gone);
    // Cancelled is neither good nor bad: the slot is skipped, and not tried again.
    site.settle().await;
    assert_eq!(site.texts_of_slots().await, ["skipped: said so"]);
    assert_eq!(site.sweep().await.runs, 0);
}

#[tokio::test]
async fn what_will_never_start_is_given_up_with_the_reason() {
    for (change, state, why) in [
        (
            "UPDATE highwater.schedule SET start_deadline = '1 minute'",
            "expired",
            "could not start within its deadline",
        ),
        (
            "UPDATE highwater.schedule SET catchup_window = '1 minute';
          UPDATE highwater.pending_run SET not_before = now() - interval '1 hour'",
            "expired",
            "outside the catch-up window",
        ),
        (
            "UPDATE highwater.schedule SET catchup = 'none';
          UPDATE highwater.pending_run SET reason = 'cron', not_before = slot_at",
            "expired",
            "the host was away, and its schedule makes up for nothing",
        ),
        ("UPDATE highwater.schedule SET enabled = false", "abandoned", "the schedule was disabled"),
        ("UPDATE highwater.schedule SET removed_at = now()", "abandoned", "the schedule was removed"),
        ("UPDATE highwater.source_group SET removed_at = now()", "abandoned", "the group was removed"),
        ("UPDATE highwater.host SET state = 'retired'", "abandoned", "the host is retired"),
    ] {
        let (mut site, _, _, schedule) = owed().await;
        site.run(change).await;
        assert_eq!(site.settle().await.expired, 1, "{change}");
        assert_eq!(
            site.texts("SELECT state || ': ' || why FROM highwater.pending_run").await,
            [format!("{state}: {why}")]
        );
        assert_eq!(site.texts_of_slots().await, [format!("missed: {why}")]);
        assert_eq!(site.sweep().await.runs, 0, "{change}");
        assert_eq!(site.hows(schedule).await, ["missed"]);
    }
}
