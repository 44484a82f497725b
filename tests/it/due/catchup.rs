//! Catching up: what a host is owed that was away, by settle time, policy, window and backoff; and what earlier designs lost.

use chrono::TimeDelta;
use highwater::ground::cron::Cron;
use highwater::ground::wire::id::HostId;
use highwater::job::{JobError, arm};
use serde_json::json;
use uuid::Uuid;

use super::site::{Site, site};
use crate::job::site::{Reporter, apply};

/// A laptop that has missed `missed` slots of one schedule.
async fn missed(catchup: &str, missed: i32) -> (Site, uuid::Uuid, uuid::Uuid) {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    let schedule = site.hourly(host, &[group], catchup, missed).await;
    site.materialise().await;
    (site, host, schedule)
}

/// Says hello, lets it settle, and looks.
async fn woken(site: &mut Site, host: uuid::Uuid) -> i64 {
    site.hello(host).await;
    site.settled(host).await;
    site.evaluate().await.runs
}

/// Claims everything of a host and ends it well.
async fn back_up(site: &mut Site, host: uuid::Uuid) -> usize {
    let jobs = site.claim(host).await;
    for job in &jobs {
        site.end(job, host, "succeeded").await;
    }
    site.settle().await;
    jobs.len()
}

// --- when something is overdue

#[tokio::test]
async fn a_slot_since_the_last_success_is_overdue_and_one_before_it_is_not() {
    let (mut site, host, _) = missed("one", 1).await;
    site.run("UPDATE highwater.schedule_progress SET last_success_slot = last_slot - interval '1 hour'")
        .await;
    assert_eq!(woken(&mut site, host).await, 1);
    let (mut site, host, _) = missed("one", 1).await;
    site.run("UPDATE highwater.schedule_progress SET last_success_slot = last_slot").await;
    assert_eq!(woken(&mut site, host).await, 0);
}

#[tokio::test]
async fn a_host_that_was_never_backed_up_is_overdue_from_its_first_slot_on() {
    let (mut site, host, _) = missed("one", 1).await;
    assert_eq!(woken(&mut site, host).await, 1);
    let mut site = super::site::site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    // Its first slot is still to come.
    site.hourly(host, &[group], "one", 0).await;
    site.materialise().await;
    assert_eq!(woken(&mut site, host).await, 0);
}

#[tokio::test]
async fn a_slot_that_is_now_counts() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    site.run(&format!("UPDATE highwater.host SET state = 'offline' WHERE id = '{host}'")).await;
    let schedule = site.hourly(host, &[group], "one", 1).await;
    // Due this very moment, and not a moment ago.
    site.run(&format!(
        "UPDATE highwater.schedule SET next_slot_at = clock_timestamp() WHERE id = '{schedule}'"
    ))
    .await;
    assert_eq!(site.materialise().await.slots, 1);
    assert_eq!(woken(&mut site, host).await, 1);
}

// --- the arm

#[tokio::test]
async fn a_hello_arms_for_the_settle_time_and_another_one_anew() {
    let (mut site, host, _) = missed("one", 1).await;
    site.hello(host).await;
    let due_in =
        "SELECT (extract(epoch FROM due_at - now()) BETWEEN 50 AND 60)::text FROM highwater.catchup_arm";
    assert_eq!(site.texts(due_in).await, ["true"]);
    assert_eq!(site.evaluate().await.hosts, 0, "nothing is due before");
    site.run("UPDATE highwater.catchup_arm SET due_at = now() + interval '5 seconds', tries = 3").await;
    site.hello(host).await;
    assert_eq!(site.texts(due_in).await, ["true"]);
    site.settled(host).await;
    assert_eq!(site.evaluate().await.runs, 1);
    assert_eq!(site.evaluate().await.hosts, 0, "looked at once");
    assert_eq!(site.count("catchup_arm").await, 0);
}

#[tokio::test]
async fn a_settle_time_is_the_schedules_own() {
    let (mut site, host, _) = missed("one", 1).await;
    site.run("UPDATE highwater.schedule SET settle = '20 minutes'").await;
    site.hello(host).await;
    let due_in = "SELECT (due_at > now() + interval '19 minutes')::text FROM highwater.catchup_arm";
    assert_eq!(site.texts(due_in).await, ["true"]);
}

#[tokio::test]
async fn a_host_that_went_away_again_loses_its_arm_and_gets_one_with_its_next_hello() {
    let (mut site, host, _) = missed("one", 1).await;
    site.hello(host).await;
    site.settled(host).await;
    site.run("UPDATE highwater.host SET last_seen_at = now() - interval '2 minutes'").await;
    assert_eq!(arm::mark_offline(&site.session).await.unwrap(), 1);
    assert_eq!(site.count("catchup_arm").await, 0);
    assert_eq!(site.evaluate().await.runs, 0);
    // Also when it is found out only by the look.
    site.hello(host).await;
    site.settled(host).await;
    site.run("UPDATE highwater.host SET state = 'offline'").await;
    assert_eq!((site.evaluate().await.runs, site.count("catchup_arm").await), (0, 0));
    assert_eq!(woken(&mut site, host).await, 1);
}

#[tokio::test]
async fn a_busy_host_keeps_its_arm_and_is_looked_at_when_it_is_done() {
    let (mut site, host, _) = missed("one", 1).await;
    assert_eq!(woken(&mut site, host).await, 1);
    let job = site.claim(host).await.remove(0);
    // A second group turns out to be overdue while the first one runs.
    let group = site.group(host, "work").await;
    site.hourly(host, &[group], "one", 1).await;
    site.materialise().await;
    site.hello(host).await;
    site.settled(host).await;
    let looked = site.evaluate().await;
    assert_eq!((looked.kept, looked.runs), (1, 0));
    assert_eq!(site.texts("SELECT tries::text FROM highwater.catchup_arm").await, ["1"]);
    site.end(&job, host, "succeeded").await;
    site.settle().await;
    site.settled(host).await;
    assert_eq!(site.evaluate().await.runs, 1);
}

#[tokio::test]
async fn an_arm_waits_for_the_outbox_but_not_for_ever() {
    let (mut site, host, _) = missed("one", 1).await;
    site.hello_with(host, 2, TimeDelta::zero()).await.unwrap();
    site.settled(host).await;
    assert_eq!(site.evaluate().await.kept, 1);
    // Its reports come in: one, which comes twice and counts once, and then the other.
    let mut reporter = Reporter::new(1, "2026-03-01T02:00:00Z");
    let reports: Vec<_> = (0..2)
        .map(|_| reporter.report(Uuid::now_v7(), "job.finished", json!({"state": "succeeded"})))
        .collect();
    for batch in [&reports[..1], &reports[..1]] {
        apply(&mut site.session, HostId(host), batch).await;
    }
    site.settled(host).await;
    assert_eq!(site.evaluate().await.kept, 1, "one is still to come");
    apply(&mut site.session, HostId(host), &reports).await;
    site.settled(host).await;
    assert_eq!(site.evaluate().await.runs, 1);
    // They do not come: after ten minutes it goes on without them.
    let (mut site, host, _) = missed("one", 1).await;
    site.hello_with(host, 3, TimeDelta::zero()).await.unwrap();
    site.run("UPDATE highwater.host SET last_hello_at = now() - interval '11 minutes'").await;
    site.settled(host).await;
    assert_eq!(site.evaluate().await.runs, 1);
}

#[tokio::test]
async fn a_hello_of_an_unknown_or_retired_host_is_refused() {
    let (mut site, host, _) = missed("one", 1).await;
    site.run("UPDATE highwater.host SET state = 'retired'").await;
    for host in [host, uuid::Uuid::nil()] {
        let refused = site.hello_with(host, 0, TimeDelta::zero()).await.unwrap_err();
        assert!(matches!(refused, JobError::UnknownHost { .. }), "{refused}");
    }
    assert_eq!(site.count("catchup_arm").await, 0);
}

// --- what is owed

#[tokio::test]
async fn one_runs_the_latest_slot_and_covers_the_older_ones() {
    let (mut site, host, schedule) = missed("one", 4).await;
    assert_eq!(woken(&mut site, host).await, 1);
    assert_eq!(site.hows(schedule).await, ["missed"; 4], "nothing has run yet");
    assert_eq!(back_up(&mut site, host).await, 1);
    assert_eq!(site.hows(schedule).await, ["covered", "covered", "covered", "ran"]);
}

#[tokio::test]
async fn all_runs_each_slot_oldest_first() {
    let (mut site, host, schedule) = missed("all", 3).await;
    assert_eq!(woken(&mut site, host).await, 3);
    let mut ran = Vec::new();
    for _ in 0..3 {
        let job = site.claim(host).await.remove(0);
        ran.push(job.slot_at.unwrap());
        site.end(&job, host, "succeeded").await;
        site.settle().await;
    }
    assert!(ran.is_sorted() && ran[0] < ran[2], "{ran:?}");
    assert_eq!(site.hows(schedule).await, ["ran"; 3]);
}

#[tokio::test]
async fn none_leaves_them_missed() {
    let (mut site, host, schedule) = missed("none", 3).await;
    assert_eq!(woken(&mut site, host).await, 0);
    assert_eq!(site.hows(schedule).await, ["missed"; 3]);
    assert_eq!(site.sweep().await.runs, 0);
}

#[tokio::test]
async fn what_lies_outside_the_window_stays_missed() {
    let (mut site, host, schedule) = missed("all", 4).await;
    site.run("UPDATE highwater.schedule SET catchup_window = '2 hours'").await;
    assert_eq!(woken(&mut site, host).await, 2);
    site.run("DELETE FROM highwater.pending_run; UPDATE highwater.schedule SET catchup = 'one', catchup_window = '10 minutes'").await;
    assert_eq!(woken(&mut site, host).await, 0);
    assert_eq!(site.hows(schedule).await, ["missed"; 4]);
}

#[tokio::test]
async fn a_disabled_schedule_one_without_groups_and_one_of_a_removed_group_owe_nothing() {
    for change in [
        "UPDATE highwater.schedule SET enabled = false",
        "UPDATE highwater.schedule SET removed_at = now()",
        "DELETE FROM highwater.schedule_group",
        "UPDATE highwater.source_group SET removed_at = now()",
    ] {
        let (mut site, host, _) = missed("one", 1).await;
        site.run(change).await;
        assert_eq!(woken(&mut site, host).await, 0, "{change}");
    }
}

#[tokio::test]
async fn two_groups_are_two_runs_and_a_removed_one_does_not_stop_the_other() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let groups = [site.group(host, "home").await, site.group(host, "work").await];
    site.hourly(host, &groups, "one", 1).await;
    site.materialise().await;
    assert_eq!(woken(&mut site, host).await, 2);
    site.run("DELETE FROM highwater.pending_run").await;
    site.run(&format!("UPDATE highwater.source_group SET removed_at = now() WHERE id = '{}'", groups[0]))
        .await;
    assert_eq!(woken(&mut site, host).await, 1);
    assert_eq!(back_up(&mut site, host).await, 1);
}

#[tokio::test]
async fn a_lost_dispatch_of_one_group_does_not_touch_the_other() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let groups = [site.group(host, "home").await, site.group(host, "work").await];
    site.hourly(host, &groups, "one", 1).await;
    site.materialise().await;
    woken(&mut site, host).await;
    let jobs = site.claim(host).await;
    assert_eq!(jobs.len(), 2);
    site.end(&jobs[0], host, "succeeded").await;
    site.run("UPDATE highwater.pending_run SET lease_until = now() - interval '1 second' WHERE state = 'claimed';
              UPDATE highwater.backup_job SET lease_until = now() - interval '1 second' WHERE state = 'dispatched'")
        .await;
    let settled = site.settle().await;
    assert_eq!((settled.good, settled.requeued), (1, 1));
    site.run("UPDATE highwater.pending_run SET not_before = now() WHERE state = 'claimed'").await;
    let again = site.claim(host).await;
    assert_eq!(again.iter().map(|job| job.job).collect::<Vec<_>>(), [jobs[1].job]);
}

// --- weaknesses of an earlier design, each of which loses a backup or makes one too many

#[tokio::test]
async fn a1_a_success_of_one_schedule_hides_no_miss_of_another() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let (home, work) = (site.group(host, "home").await, site.group(host, "work").await);
    site.hourly(host, &[home], "one", 1).await;
    let other = site.hourly(host, &[work], "one", 1).await;
    site.materialise().await;
    site.run(&format!("UPDATE highwater.schedule_progress SET last_success_slot = last_slot, last_success_at = now() WHERE source_group = '{home}'")).await;
    assert_eq!(woken(&mut site, host).await, 1);
    assert_eq!(site.runs(other).await, ["catchup waiting"]);
}

#[tokio::test]
async fn a2_a3_a_failure_half_way_leaves_arm_and_runs_as_they_were() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let groups = [site.group(host, "home").await, site.group(host, "work").await];
    site.hourly(host, &groups, "one", 1).await;
    site.materialise().await;
    site.hello(host).await;
    site.settled(host).await;
    let tx = site.session.begin().await.unwrap();
    assert_eq!(arm::evaluate(&tx).await.unwrap().runs, 2);
    drop(tx);
    assert_eq!((site.count("catchup_arm").await, site.count("pending_run").await), (1, 0));
    assert_eq!(site.evaluate().await.runs, 2);
}

#[tokio::test]
async fn a4_a_run_in_hand_at_the_look_costs_no_other_group_its_catch_up() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let (home, work) = (site.group(host, "home").await, site.group(host, "work").await);
    site.hourly(host, &[home], "one", 1).await;
    site.materialise().await;
    woken(&mut site, host).await;
    let job = site.claim(host).await.remove(0);
    let other = site.hourly(host, &[work], "one", 1).await;
    site.materialise().await;
    site.hello(host).await;
    site.settled(host).await;
    assert_eq!(site.evaluate().await.kept, 1);
    site.end(&job, host, "failed").await;
    site.settle().await;
    site.settled(host).await;
    site.evaluate().await;
    assert_eq!(site.runs(other).await, ["catchup waiting"]);
}

#[tokio::test]
async fn a5_two_schedules_of_one_group_are_served_by_one_run() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    let (one, two) =
        (site.hourly(host, &[group], "one", 2).await, site.hourly(host, &[group], "one", 1).await);
    site.materialise().await;
    assert_eq!(woken(&mut site, host).await, 2);
    assert_eq!(back_up(&mut site, host).await, 1);
    assert_eq!(site.claim(host).await.len(), 0);
    assert_eq!(site.count("backup_job").await, 1);
    let mut hows = site.hows(one).await;
    hows.extend(site.hows(two).await);
    hows.sort();
    assert_eq!(hows, ["covered", "covered", "ran"]);
    assert_eq!(site.sweep().await.runs, 0);
    // A run that serves others and comes to nothing leaves them owed.
    let mut states = site.runs(one).await;
    states.extend(site.runs(two).await);
    states.sort();
    assert_eq!(states, ["catchup dispatched", "catchup superseded"]);
}

#[tokio::test]
async fn a6_an_expression_that_never_fires_is_refused_when_it_is_written() {
    assert!(Cron::parse("0 0 30 2 *", "UTC").is_err());
    // One that was smuggled in stands still, and is overdue on no reconnect.
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    site.schedule(host, &[group], "0 0 30 2 *", "one", 1).await;
    site.materialise().await;
    assert_eq!(woken(&mut site, host).await, 0);
    assert_eq!(site.count("run_slot").await, 0);
}

#[tokio::test]
async fn a7_a_slot_falls_where_clocks_in_the_schedules_zone_show_it() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    let schedule = site.hourly(host, &[group], "one", 1).await;
    site.run(&format!(
        "UPDATE highwater.schedule SET cron = '0 3 * * *', tz = 'Asia/Kolkata',
                next_slot_at = (timestamp '2026-01-01 03:00' AT TIME ZONE 'Asia/Kolkata') WHERE id = '{schedule}'"
    ))
    .await;
    site.materialise().await;
    let walls = site
        .texts(
            "SELECT DISTINCT to_char(slot_at AT TIME ZONE 'Asia/Kolkata', 'HH24:MI') FROM highwater.run_slot",
        )
        .await;
    assert_eq!(walls, ["03:00"]);
}

#[tokio::test]
async fn a8_a_clock_two_days_ahead_suppresses_nothing() {
    let (mut site, host, schedule) = missed("one", 1).await;
    let two_days = TimeDelta::days(2);
    site.hello_with(host, 0, two_days).await.unwrap();
    site.settled(host).await;
    assert_eq!(site.evaluate().await.runs, 1);
    let job = site.claim(host).await.remove(0);
    site.end(&job, host, "succeeded").await;
    site.run("UPDATE highwater.backup_job SET finished_at = finished_at + interval '2 days'").await;
    site.settle().await;
    // The next hour's slot is as overdue as ever: successes are counted by slots.
    site.run(&format!(
        "UPDATE highwater.schedule SET next_slot_at = now() - interval '10 minutes' WHERE id = '{schedule}'"
    ))
    .await;
    site.run("UPDATE highwater.host SET state = 'offline'").await;
    site.materialise().await;
    assert_eq!(woken(&mut site, host).await, 1);
    let skew = "SELECT (skew_ms > 172000000)::text FROM highwater.host";
    site.hello_with(host, 0, two_days).await.unwrap();
    assert_eq!(site.texts(skew).await, ["true"]);
}

#[tokio::test]
async fn a9_a_host_that_never_said_hello_again_and_one_that_is_always_on_are_caught_up_too() {
    for mode in ["intermittent", "always_on"] {
        let mut site = site().await;
        let host = site.host("host", mode).await;
        let group = site.group(host, "data").await;
        // No worker ran while three slots passed; the link outlived it all.
        let schedule = site.hourly(host, &[group], "one", 3).await;
        site.materialise().await;
        assert_eq!(site.sweep().await.runs, 1, "{mode}");
        assert_eq!(back_up(&mut site, host).await, 1);
        assert_eq!(site.hows(schedule).await, ["covered", "covered", "ran"]);
        assert_eq!(site.sweep().await.hosts, 0);
    }
}

#[tokio::test]
async fn a10_a_backup_that_always_fails_is_not_run_at_every_hello() {
    let (mut site, host, _) = missed("one", 1).await;
    woken(&mut site, host).await;
    let job = site.claim(host).await.remove(0);
    site.end(&job, host, "failed").await;
    site.settle().await;
    for _ in 0..5 {
        assert_eq!(woken(&mut site, host).await, 0);
        assert!(site.claim(host).await.is_empty());
    }
    assert_eq!(site.count("backup_job").await, 1);
}

#[tokio::test]
async fn a11_every_miss_is_a_row_with_a_reason() {
    let (site, _, schedule) = missed("none", 5).await;
    assert_eq!(site.hows(schedule).await, ["missed"; 5]);
    assert_eq!(site.count("run_slot WHERE why IS NULL").await, 0);
}

#[tokio::test]
async fn a_host_may_change_its_mode_at_any_time() {
    let (mut site, host, schedule) = missed("one", 2).await;
    site.hello(host).await;
    site.run("UPDATE highwater.host SET mode = 'always_on'").await;
    site.settled(host).await;
    assert_eq!(site.evaluate().await.runs, 1);
    site.run("UPDATE highwater.host SET mode = 'intermittent'").await;
    assert_eq!(back_up(&mut site, host).await, 1);
    assert_eq!(site.hows(schedule).await, ["covered", "ran"]);
}
