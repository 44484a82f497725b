//! Slots: each promised time once, whatever happens to schedules, hosts and workers.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use highwater::db::Executor;
use highwater::job::slot;

use super::site::site;

/// Slots of a schedule on the ledger.
async fn written(site: &super::site::Site, schedule: uuid::Uuid) -> BTreeSet<DateTime<Utc>> {
    let query = "SELECT slot_at FROM highwater.run_slot WHERE schedule = $1";
    site.session.query(query, &[&schedule]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The first quarter of an hour at which clocks in the zone show `time` or later, for each of their days: what a daily cron
/// promises, told by Postgres from its own zone data.
async fn days(
    site: &super::site::Site,
    zone: &str,
    time: &str,
    from: &str,
    to: &str,
) -> BTreeSet<DateTime<Utc>> {
    let query = "WITH quarter AS (
           SELECT at, at AT TIME ZONE $1 AS wall
             FROM generate_series(($3::text)::timestamptz, ($4::text)::timestamptz, '15 minutes') AS at
         )
         SELECT min(quarter.at) FROM quarter WHERE quarter.wall::time >= ($2::text)::time GROUP BY quarter.wall::date";
    let rows = site.session.query(query, &[&zone, &time, &from, &to]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn two_years_of_days_are_on_the_ledger_once_in_every_zone() {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "data").await;
    // The oldest first, in steps, as if workers had come and gone.
    for (zone, hour, minute) in [
        ("Europe/Berlin", 2, 30),
        ("America/New_York", 2, 15),
        ("Australia/Lord_Howe", 2, 15),
        ("Asia/Kathmandu", 0, 45),
        ("UTC", 23, 45),
    ] {
        let schedule = site.hourly(host, &[group], "one", 1).await;
        let from = "2024-01-01 00:00:00+00";
        site.run(&format!(
            "UPDATE highwater.schedule SET cron = '{minute} {hour} * * *', tz = '{zone}', next_slot_at =
               ((timestamp '2024-01-03' + interval '{hour} hours {minute} minutes') AT TIME ZONE '{zone}') WHERE id = '{schedule}'"
        ))
        .await;
        let first: DateTime<Utc> = site
            .session
            .query_one("SELECT next_slot_at FROM highwater.schedule WHERE id = $1", &[&schedule])
            .await
            .unwrap()
            .get(0);
        site.materialise().await;
        let now = site.now().await;
        let time = format!("{hour:02}:{minute:02}");
        let mut expected = days(&site, zone, &time, from, &now.to_rfc3339()).await;
        expected.retain(|&at| at >= first && at <= now);
        let found = written(&site, schedule).await;
        assert!(expected.len() > 700, "{zone}: {}", expected.len());
        assert_eq!(found, expected, "{zone}");
        assert!(site.materialise().await.slots == 0, "a slot is written once");
    }
}

#[tokio::test]
async fn an_edit_half_way_keeps_what_was_promised_and_promises_anew() {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "data").await;
    let schedule = site.hourly(host, &[group], "one", 5).await;
    site.materialise().await;
    let before = written(&site, schedule).await;
    assert_eq!(before.len(), 5);
    let found = highwater::job::schedule::find(&site.session, &schedule.to_string(), None).await.unwrap();
    let edit = highwater::job::schedule::Edit {
        cron: Some("0 4 * * *".to_owned()),
        tz: Some("Asia/Tokyo".to_owned()),
        ..Default::default()
    };
    let tx = site.session.begin().await.unwrap();
    highwater::job::schedule::edit(&tx, &found, &edit).await.unwrap();
    tx.commit().await.unwrap();
    site.materialise().await;
    assert_eq!(written(&site, schedule).await, before);
    let next = site
        .texts("SELECT to_char(next_slot_at AT TIME ZONE 'Asia/Tokyo', 'HH24:MI') FROM highwater.schedule")
        .await;
    assert_eq!(next, ["04:00"]);
    // Whoever read it before the edit writes nothing.
    let tx = site.session.begin().await.unwrap();
    let late = highwater::job::schedule::edit(&tx, &found, &edit).await.unwrap_err();
    assert!(late.to_string().contains("edited meanwhile"), "{late}");
}

#[tokio::test]
async fn two_workers_write_each_slot_once() {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "data").await;
    for _ in 0..20 {
        site.hourly(host, &[group], "one", 50).await;
    }
    let passes = (0..4).map(|_| async {
        let mut session = site.db.session().await;
        let tx = session.begin().await.unwrap();
        let made = slot::materialise(&tx).await.unwrap();
        tx.commit().await.unwrap();
        made.slots
    });
    let made: i64 = join_all(passes).await.iter().sum();
    assert_eq!(made, 20 * 50);
    assert_eq!(site.count("run_slot").await, 20 * 50);
    // A worker that dies before its commit has written nothing, and the next one writes all of it.
    site.hourly(host, &[group], "one", 3).await;
    let tx = site.session.begin().await.unwrap();
    assert_eq!(slot::materialise(&tx).await.unwrap().slots, 3);
    drop(tx);
    assert_eq!(site.materialise().await.slots, 3);
}

#[tokio::test]
async fn a_slot_says_why_nothing_has_run_for_it() {
    let mut site = site().await;
    let host = site.host("laptop", "intermittent").await;
    let group = site.group(host, "home").await;
    // Half an hour ago: too late to be anything but missed.
    site.hourly(host, &[group], "one", 2).await;
    let made = site.materialise().await;
    assert_eq!((made.slots, made.runs), (2, 0));
    assert_eq!(
        site.texts_of_slots().await,
        ["missed: no worker was running", "missed: no worker was running"]
    );
    // Just now, of a host that is there: a run is owed.
    for (state, expected, runs) in [
        ("online", "missed: waits for the host", 1),
        ("offline", "missed: the host was asleep", 0),
        ("enrolling", "missed: the host has not been enrolled", 0),
        ("retired", "skipped: the host is retired", 0),
    ] {
        site.run("DELETE FROM highwater.pending_run; DELETE FROM highwater.run_slot").await;
        site.run(&format!("UPDATE highwater.host SET state = '{state}'")).await;
        site.run(
            "UPDATE highwater.schedule SET cron = '* * * * *', next_slot_at = date_trunc('minute', now())",
        )
        .await;
        let made = site.materialise().await;
        assert_eq!(made.runs, runs * made.slots, "{state}");
        assert_eq!(site.texts_of_slots().await.last().map(String::as_str), Some(expected));
    }
    // A host that is always on is owed its run, there or not: it waits.
    site.run(
        "DELETE FROM highwater.run_slot; UPDATE highwater.host SET state = 'offline', mode = 'always_on'",
    )
    .await;
    site.run("UPDATE highwater.schedule SET next_slot_at = date_trunc('minute', now())").await;
    assert!(site.materialise().await.runs >= 1);
}

#[tokio::test]
async fn an_expression_that_cannot_be_read_stands_still_and_stops_no_other() {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "data").await;
    let broken = site.schedule(host, &[group], "garbage", "one", 3).await;
    let sound = site.hourly(host, &[group], "one", 3).await;
    site.materialise().await;
    assert_eq!((site.hows(broken).await.len(), site.hows(sound).await.len()), (0, 3));
    assert_eq!(site.sweep().await.runs, 1);
}

#[tokio::test]
async fn a_second_slot_while_the_group_runs_is_skipped_or_queues() {
    for (overlap, how, runs) in [("skip", "skipped", 0), ("queue", "missed", 1)] {
        let mut site = site().await;
        let host = site.host("server", "always_on").await;
        let group = site.group(host, "data").await;
        let schedule = site.hourly(host, &[group], "one", 1).await;
        site.materialise().await;
        site.sweep().await;
        assert_eq!(site.claim(host).await.len(), 1);
        site.run(&format!(
            "UPDATE highwater.schedule SET overlap = '{overlap}', cron = '* * * * *', next_slot_at = date_trunc('minute', now())"
        ))
        .await;
        let made = site.materialise().await;
        assert_eq!(made.runs, runs * made.slots);
        assert_eq!(site.hows(schedule).await.last().map(String::as_str), Some(how));
        // Nothing of the group is handed out while it runs.
        assert!(site.claim(host).await.is_empty());
    }
}

#[tokio::test]
async fn jitter_is_a_fixed_part_of_its_span_for_each_schedule() {
    let mut site = site().await;
    let host = site.host("server", "always_on").await;
    let group = site.group(host, "data").await;
    for _ in 0..8 {
        site.hourly(host, &[group], "one", 1).await;
    }
    site.run("UPDATE highwater.schedule SET jitter = '10 minutes', cron = '* * * * *', next_slot_at = date_trunc('minute', now())").await;
    site.materialise().await;
    let rows = site
        .texts(
            "SELECT (bool_and(late >= '0' AND late < '10 minutes') AND count(DISTINCT (schedule, late)) = count(DISTINCT schedule)
                     AND count(DISTINCT late) > 1)::text
               FROM (SELECT schedule, not_before - slot_at AS late FROM highwater.pending_run) AS run",
        )
        .await;
    assert_eq!(rows, ["true"]);
}
