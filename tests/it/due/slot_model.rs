//! Slots against a naive oracle: years of edits, zones, pauses, removals and absent workers, on a clock of the test's own.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use highwater::db::Executor;
use highwater::ground::cron::Cron;
use highwater::ground::wire::config::{Catchup, Overlap};
use highwater::job::schedule::{self, Edit};
use highwater::job::{group, host, slot};
use uuid::Uuid;

use super::site::{Site, site};
use crate::support::draw::Draw;
use crate::support::scale::scaled;

/// The statements that make slots ask `clock_timestamp()`; this one is found before Postgres's own.
const CLOCK: &str = "
    CREATE SCHEMA model;
    CREATE FUNCTION model.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS $$
      SELECT current_setting('model.now')::timestamptz $$;
    SET search_path = model, pg_catalog, public";

const CRONS: [&str; 6] =
    ["30 2 * * *", "0 3 * * 1-5", "15 * * * *", "*/20 1-3 * * *", "0 0 1 * *", "45 23 L * *"];

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"];

/// Groups of the host.
const GROUPS: usize = 3;

/// What a schedule promises as long as nobody changes it.
#[derive(Debug, Clone)]
struct Promised {
    schedule: Uuid,
    cron: String,
    tz: String,
    is_enabled: bool,
    groups: Vec<usize>,
    /// Exclusive.
    since: DateTime<Utc>,
}

/// One history: the database beside the oracle.
struct History<'a> {
    site: &'a mut Site,
    draw: Draw,
    host: Uuid,
    /// Names and ids.
    groups: Vec<(String, Uuid)>,
    now: DateTime<Utc>,
    promised: Vec<Promised>,
    expected: BTreeSet<(Uuid, Uuid, DateTime<Utc>)>,
    told: Vec<String>,
}

impl History<'_> {
    async fn begin(site: &mut Site, seed: u64) -> History<'_> {
        let host = site.host(&format!("host-{seed}"), "always_on").await;
        let mut groups = Vec::new();
        for number in 0..GROUPS {
            let name = format!("group-{number}");
            groups.push((name.clone(), site.group(host, &name).await));
        }
        let mut history = History {
            site,
            draw: Draw::new(seed),
            host,
            groups,
            now: "2023-01-15T00:00:00Z".parse().unwrap(),
            promised: Vec::new(),
            expected: BTreeSet::new(),
            told: Vec::new(),
        };
        history.pass(TimeDelta::zero()).await;
        history
    }

    async fn pass(&mut self, time: TimeDelta) {
        self.now += time;
        self.site.run(&format!("SET model.now = '{}'", self.now.to_rfc3339())).await;
    }

    /// Ends what a schedule promised up to now, inclusive.
    fn conclude(&mut self, at: usize) {
        let promised = self.promised[at].clone();
        self.promised[at].since = self.now;
        if !promised.is_enabled {
            return;
        }
        let cron = Cron::parse(&promised.cron, &promised.tz).unwrap();
        let slots = cron.between(promised.since, self.now + TimeDelta::microseconds(1));
        for slot in slots.filter(|&slot| slot > promised.since) {
            for &group in &promised.groups {
                self.expected.insert((promised.schedule, self.groups[group].1, slot));
            }
        }
    }

    fn some_groups(&mut self) -> Vec<usize> {
        let first = self.draw.below(GROUPS);
        (0..GROUPS).filter(|&group| group == first || self.draw.below(3) == 0).collect()
    }

    fn names(&self, groups: &[usize]) -> Vec<String> {
        groups.iter().map(|&group| self.groups[group].0.clone()).collect()
    }

    async fn add(&mut self) {
        let (cron, tz) = (CRONS[self.draw.below(CRONS.len())], ZONES[self.draw.below(ZONES.len())]);
        let groups = self.some_groups();
        let host = schedule::host(&self.site.session, &self.host.to_string(), None).await.unwrap();
        let rules = schedule::Rules {
            cron: cron.to_owned(),
            tz: Some(tz.to_owned()),
            catchup: Catchup::One,
            catchup_window: Duration::from_secs(86_400),
            settle: Duration::from_secs(60),
            jitter: Duration::ZERO,
            overlap: Overlap::Queue,
            start_deadline: None,
        };
        let id = schedule::add(&self.site.session, &host, &self.names(&groups), &rules).await.unwrap();
        self.told.push(format!("{} add {cron} {tz} {groups:?}", self.now));
        let (cron, tz) = (cron.to_owned(), tz.to_owned());
        self.promised.push(Promised { schedule: id.0, cron, tz, is_enabled: true, groups, since: self.now });
    }

    async fn edit(&mut self, at: usize) {
        self.conclude(at);
        let mut edit = Edit::default();
        let what = self.draw.below(5);
        let promised = &mut self.promised[at];
        match what {
            0 => promised.cron = CRONS[self.draw.below(CRONS.len())].to_owned(),
            1 => promised.tz = ZONES[self.draw.below(ZONES.len())].to_owned(),
            2 => promised.is_enabled = !promised.is_enabled,
            3 => {
                let groups = self.some_groups();
                self.promised[at].groups = groups;
            }
            _ => edit.jitter = Some(Duration::from_secs(60)),
        }
        let promised = &self.promised[at];
        edit.cron = (what == 0).then(|| promised.cron.clone());
        edit.tz = (what == 1).then(|| promised.tz.clone());
        edit.enabled = (what == 2).then_some(promised.is_enabled);
        edit.groups = (what == 3).then(|| self.names(&promised.groups));
        self.told.push(format!("{} edit {edit:?}", self.now));
        let id = promised.schedule.to_string();
        let found = schedule::find(&self.site.session, &id, None).await.unwrap();
        let tx = self.site.session.begin().await.unwrap();
        schedule::edit(&tx, &found, &edit).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn remove(&mut self, at: usize) {
        self.conclude(at);
        let gone = self.promised.remove(at);
        self.told.push(format!("{} remove {}", self.now, gone.cron));
        let found = schedule::find(&self.site.session, &gone.schedule.to_string(), None).await.unwrap();
        let tx = self.site.session.begin().await.unwrap();
        schedule::remove(&tx, &found).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A group goes, and a new one comes.
    async fn replace_group(&mut self) {
        for at in 0..self.promised.len() {
            self.conclude(at);
        }
        let number = self.draw.below(GROUPS);
        self.told.push(format!("{} replace group {number}", self.now));
        let host = host::find(&self.site.session, &self.host.to_string(), None).await.unwrap();
        let name = self.groups[number].0.clone();
        let found = group::find(&self.site.session, &host, &name).await.unwrap();
        let tx = self.site.session.begin().await.unwrap();
        group::remove(&tx, &host, &found).await.unwrap();
        tx.commit().await.unwrap();
        let name = format!("{name}-again");
        self.groups[number] = (name.clone(), self.site.group(self.host, &name).await);
        for promised in &mut self.promised {
            promised.groups.retain(|&group| group != number);
        }
    }

    async fn step(&mut self) {
        // From a minute to forty days, whole minutes or odd seconds; most of the time no worker runs.
        let longest = [60, 3_600, 86_400, 40 * 86_400][self.draw.below(4)];
        let seconds = i64::try_from(self.draw.below(longest)).unwrap();
        let seconds = if self.draw.below(2) == 0 { seconds / 60 * 60 } else { seconds };
        self.pass(TimeDelta::seconds(seconds)).await;
        let at = self.draw.below(self.promised.len().max(1));
        match self.draw.below(12) {
            0..=2 => {
                self.told.push(format!("{} a worker's pass", self.now));
                self.site.materialise().await;
            }
            3 => {
                self.told.push(format!("{} a worker that dies", self.now));
                let tx = self.site.session.begin().await.unwrap();
                slot::materialise(&tx).await.unwrap();
            }
            4 => {
                let mode = ["always_on", "intermittent"][self.draw.below(2)];
                self.told.push(format!("{} {mode}", self.now));
                self.site.run(&format!("UPDATE highwater.host SET mode = '{mode}'")).await;
            }
            5 => self.add().await,
            6 if !self.promised.is_empty() => self.remove(at).await,
            7 => self.replace_group().await,
            _ if !self.promised.is_empty() => self.edit(at).await,
            _ => self.add().await,
        }
    }

    async fn written(&self) -> BTreeSet<(Uuid, Uuid, DateTime<Utc>)> {
        let query = "SELECT schedule, source_group, slot_at FROM highwater.run_slot WHERE host = $1";
        let rows = self.site.session.query(query, &[&self.host]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// Lets a worker write all, holds the ledger against the oracle, and retires the host.
    async fn end(mut self, seed: u64) -> usize {
        for at in 0..self.promised.len() {
            self.conclude(at);
        }
        if self.draw.below(2) == 0 {
            self.site.materialise().await;
        }
        let host = host::find(&self.site.session, &self.host.to_string(), None).await.unwrap();
        let tx = self.site.session.begin().await.unwrap();
        host::remove(&tx, &host).await.unwrap();
        tx.commit().await.unwrap();
        let written = self.written().await;
        let lost: Vec<_> = self.expected.difference(&written).take(3).collect();
        let extra: Vec<_> = written.difference(&self.expected).take(3).collect();
        assert!(
            lost.is_empty() && extra.is_empty(),
            "seed {seed}: lost {lost:?}, not promised {extra:?}\n{}",
            self.told.join("\n")
        );
        written.len()
    }
}

#[tokio::test]
async fn every_slot_that_was_promised_is_on_the_ledger_once_whatever_changes() {
    let mut site = site().await;
    site.run(CLOCK).await;
    let mut slots = 0;
    for seed in 1..=scaled(12, 2_000) {
        let seed = u64::try_from(seed).unwrap();
        let mut history = History::begin(&mut site, seed).await;
        history.add().await;
        for _ in 0..25 {
            history.step().await;
        }
        slots += history.end(seed).await;
    }
    assert!(slots > 500, "{slots}");
}
