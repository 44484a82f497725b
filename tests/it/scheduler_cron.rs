//! Jobs with a cron: what they owe, against a look at every minute, and how they come onto the ledger.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::{OffsetComponents, TZ_VARIANTS, Tz};
use highwater::db::Executor;
use highwater::ground::cron::Cron;
use highwater::scheduler::materialise::{Made, materialise};
use highwater::scheduler::planner::{self, CatchUp, Planned, Rule, Verdict};
use highwater::scheduler::timing::{Count, Timing};

use crate::scheduler_site::{bare, count, row, until};
use crate::support::TestDb;
use crate::support::program::{highwater, spawn};
use crate::support::scale::scaled;

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn minutes(&mut self, bound: usize) -> TimeDelta {
        TimeDelta::minutes(self.below(bound) as i64)
    }
}

/// Minutes before and after the moment that a case is about.
const REACH: usize = 30 * 60;

/// What clocks of a zone show at each minute around a moment, from `start` on.
struct Wall {
    start: DateTime<Utc>,
    shown: Vec<NaiveDateTime>,
    /// Whether they have shown the same some minutes before.
    is_repeated: Vec<bool>,
}

impl Wall {
    fn around(zone: Tz, moment: DateTime<Utc>) -> Wall {
        let start = moment - TimeDelta::minutes(REACH as i64);
        let shown: Vec<NaiveDateTime> = (0..2 * REACH as i64)
            .map(|minute| (start + TimeDelta::minutes(minute)).with_timezone(&zone).naive_local())
            .collect();
        let mut seen = BTreeSet::new();
        let is_repeated = shown.iter().map(|one| !seen.insert(*one)).collect();
        Wall { start, shown, is_repeated }
    }

    fn at(&self, index: usize) -> DateTime<Utc> {
        self.start + TimeDelta::minutes(index as i64)
    }
}

/// A moment at which clocks of the zone are moved, in a random year; any moment, where they are not.
fn moved(zone: Tz, random: &mut Random) -> DateTime<Utc> {
    let start = DateTime::UNIX_EPOCH + TimeDelta::days(18_262 + random.below(17 * 365) as i64);
    let offset = |at: DateTime<Utc>| {
        let offset = *at.with_timezone(&zone).offset();
        offset.base_utc_offset() + offset.dst_offset()
    };
    let Some(mut before) = (0..365)
        .map(|day| start + TimeDelta::days(day))
        .find(|day| offset(*day) != offset(*day + TimeDelta::days(1)))
    else {
        return start;
    };
    let mut after = before + TimeDelta::days(1);
    while after - before > TimeDelta::minutes(1) {
        let middle = before + TimeDelta::minutes((after - before).num_minutes() / 2);
        if offset(middle) == offset(before) { before = middle } else { after = middle }
    }
    after
}

/// Minutes and hours of an expression, apart from how it is written.
struct Fields {
    text: String,
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    is_fixed: bool,
}

impl Fields {
    fn any(random: &mut Random) -> Fields {
        let mut field = |bound: u32| {
            let one = |random: &mut Random| random.below(bound as usize) as u32;
            match random.below(5) {
                0 => ("*".to_owned(), (0..bound).collect(), false),
                1 => {
                    let step = 1 + one(random).max(1);
                    (format!("*/{step}"), (0..bound).step_by(step as usize).collect(), false)
                }
                2 => {
                    let list: BTreeSet<u32> = (0..3).map(|_| one(random)).collect();
                    let text: Vec<String> = list.iter().map(u32::to_string).collect();
                    (text.join(","), list, true)
                }
                _ => {
                    let number = one(random);
                    (number.to_string(), BTreeSet::from([number]), true)
                }
            }
        };
        let ((minute, minutes, _), (hour, hours, is_fixed)) = (field(60), field(24));
        Fields { text: format!("{minute} {hour} * * *"), minutes, hours, is_fixed }
    }

    fn matches(&self, shown: NaiveDateTime) -> bool {
        self.minutes.contains(&shown.minute()) && self.hours.contains(&shown.hour())
    }

    /// Whether a minute fires: clocks show a matching time, the first time that they do so if the hour is fixed, or they
    /// have just skipped one.
    fn fires(&self, wall: &Wall, index: usize) -> bool {
        let shown = wall.shown[index];
        if self.matches(shown) && !(self.is_fixed && wall.is_repeated[index]) {
            return true;
        }
        let mut skipped = wall.shown[index - 1] + TimeDelta::minutes(1);
        while skipped < shown {
            if self.matches(skipped) {
                return true;
            }
            skipped += TimeDelta::minutes(1);
        }
        false
    }
}

/// What a scope owes, found by looking at every minute of `(cursor, now]` in turn.
fn oracle(
    rule: &Rule,
    fields: &Fields,
    wall: &Wall,
    cursor: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (Vec<Planned>, DateTime<Utc>) {
    let due: Vec<DateTime<Utc>> = (1..wall.shown.len())
        .filter(|index| {
            let at = wall.at(*index);
            at > cursor && at + rule.delay <= now && fields.fires(wall, *index)
        })
        .map(|index| wall.at(index))
        .collect();
    let Some(&newest) = due.last() else { return (Vec::new(), cursor) };
    let count = |number: usize| Count { number: number as i64, is_least: false };
    if rule.is_paused {
        let verdict = Verdict::Paused { count: count(due.len()), last: newest };
        return (vec![Planned { plan_time: due[0], verdict }], newest);
    }
    let is_old = |at: &DateTime<Utc>| *at <= now - rule.delay - rule.window && *at != newest;
    let (old, kept): (Vec<_>, Vec<_>) = due.iter().copied().partition(is_old);
    let mut planned = Vec::new();
    if let (Some(&first), Some(&last)) = (old.first(), old.last()) {
        planned
            .push(Planned { plan_time: first, verdict: Verdict::TooOld { count: count(old.len()), last } });
    }
    let mut reached = old.last().copied().unwrap_or(cursor);
    for (index, at) in kept.into_iter().enumerate() {
        let verdict = match rule.catch_up {
            CatchUp::Latest if at != newest => Verdict::Covered { by: newest },
            CatchUp::Latest => Verdict::Run,
            CatchUp::Every if index >= rule.room => break,
            CatchUp::Every => Verdict::Run,
        };
        planned.push(Planned { plan_time: at, verdict });
        reached = at;
    }
    (planned, reached)
}

/// Cases of one moment: what clocks show there is looked up once.
const CASES: usize = 10;

#[test]
fn what_a_cron_owes_agrees_with_a_look_at_every_minute_in_all_zones() {
    let mut random = Random(20_261_125);
    let (mut tried, mut owed, mut kinds) = (0, 0, BTreeMap::<&str, usize>::new());
    for _ in 0..scaled(4_000, 1_000_000) / CASES {
        let zone = TZ_VARIANTS[random.below(TZ_VARIANTS.len())];
        let moment = moved(zone, &mut random);
        let wall = Wall::around(zone, moment);
        for _ in 0..CASES {
            let fields = Fields::any(&mut random);
            let rule = Rule {
                timing: Timing::Cron(Box::new(Cron::parse(&fields.text, zone.name()).unwrap())),
                delay: random.minutes(90) * random.below(2) as i32,
                catch_up: if random.below(2) == 0 { CatchUp::Latest } else { CatchUp::Every },
                window: random.minutes(600),
                room: random.below(12),
                is_paused: random.below(10) == 0,
            };
            let cursor = moment - random.minutes(300);
            let now = cursor + random.minutes(900);
            let expected = oracle(&rule, &fields, &wall, cursor, now);
            let found = planner::plan(&rule, cursor, now);
            assert_eq!(found, expected, "{} in {zone}, {rule:?}, from {cursor} to {now}", fields.text);
            tried += 1;
            owed += found.0.len();
            for planned in &found.0 {
                let kind = match planned.verdict {
                    Verdict::Run => "run",
                    Verdict::Covered { .. } => "covered",
                    Verdict::TooOld { .. } => "too old",
                    Verdict::Paused { .. } => "paused",
                };
                *kinds.entry(kind).or_default() += 1;
            }
        }
    }
    // The cases are about something.
    assert!(owed > tried && kinds.len() == 4 && kinds.values().all(|count| *count > tried / 50), "{kinds:?}");
}

async fn add(db: &TestDb, arguments: &[&str]) {
    let mut words = vec!["job", "add"];
    words.extend(arguments);
    highwater(db, &words).await.success();
}

/// As if the scope had last been planned at that moment.
async fn stands_at(db: &TestDb, name: &str, moment: &str) {
    let statement = format!(
        "INSERT INTO highwater.job_scope (job, scope, materialised_to) VALUES ('{name}', '', {moment})
         ON CONFLICT (job, scope) DO UPDATE SET materialised_to = excluded.materialised_to, next_rule = NULL, next_plan_at = NULL"
    );
    db.session().await.batch(&statement).await.unwrap();
}

#[tokio::test]
async fn a_cron_job_runs_when_its_zone_says_so_and_rests_until_then() {
    let db = bare().await;
    add(&db, &["nightly", "--cron", "30 2 * * *", "--tz", "Asia/Kathmandu", "--function", "work"]).await;
    let session = db.session().await;
    // Nothing is owed yet, and the ledger learns when something will be.
    assert_eq!(materialise(&session).await.unwrap(), Made::default());
    let next = "SELECT count(*) FROM highwater.job_scope WHERE next_plan_at > now() AND next_plan_at <= now() + interval '1 day'
                   AND to_char(next_plan_at AT TIME ZONE 'Asia/Kathmandu', 'HH24:MI:SS') = '02:30:00'
                   AND next_rule = 'Asia/Kathmandu 30 2 * * *'";
    assert_eq!(count(&db, next).await, 1);
    let behind = include_str!("../../sql/scheduler/behind.sql");
    assert!(session.query(behind, &[]).await.unwrap().is_empty(), "nobody works it out again each second");
    stands_at(&db, "nightly", "now() - interval '50 hours'").await;
    let made = materialise(&session).await.unwrap();
    // The window is a day: of the two or three missed ones the newest runs and the older ones are on record.
    assert!(made.due == 1 && made.skipped >= 1, "{made:?}");
    let run = row(&db, "SELECT to_char(plan_time AT TIME ZONE 'Asia/Kathmandu', 'HH24:MI:SS') FROM highwater.plan WHERE state = 'due'").await;
    assert_eq!(run.get::<_, &str>(0), "02:30:00");
    let worker = spawn(&db, &["worker", "--listen", "127.0.0.1:0"]);
    until(&db, "SELECT count(*) FROM effect").await;
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    worker.ended().await.success();
    let shown = highwater(&db, &["job", "show", "nightly"]).await.success();
    assert!(
        shown.stdout.contains("At 02:30, in Asia/Kathmandu") && shown.stdout.contains("20:45:00"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_changed_cron_holds_at_once_and_one_that_nobody_can_read_stops_no_other() {
    let db = bare().await;
    add(&db, &["yearly", "--cron", "0 0 1 1 *", "--function", "work"]).await;
    add(&db, &["minutely", "--cron", "* * * * *", "--function", "work"]).await;
    let session = db.session().await;
    materialise(&session).await.unwrap();
    stands_at(&db, "minutely", "date_trunc('minute', now()) - interval '2 minutes'").await;
    session.batch("UPDATE highwater.job SET cron = '* * * * *' WHERE name = 'yearly'").await.unwrap();
    session
        .batch("UPDATE highwater.job_scope SET materialised_to = date_trunc('minute', now()) - interval '2 minutes' WHERE job = 'yearly'")
        .await
        .unwrap();
    let broken = "INSERT INTO highwater.job (name, kind, function, cron, tz) VALUES ('broken', 'sql', 'work', 'every tuesday', 'UTC')";
    session.batch(broken).await.unwrap();
    let made = materialise(&session).await.unwrap();
    assert!(made.due == 2, "{made:?}");
    let noted = "SELECT count(*) FROM highwater.job_scope WHERE job = 'broken' AND next_plan_at IS NULL AND next_rule = 'UTC every tuesday'";
    assert_eq!(count(&db, noted).await, 1);
    let listed = highwater(&db, &["job", "list"]).await.success();
    let line = listed.stdout.lines().find(|line| line.starts_with("broken")).unwrap();
    assert!(line.contains("cannot read the cron expression"), "{listed:?}");
    session.batch("UPDATE highwater.job SET cron = '@hourly' WHERE name = 'broken'").await.unwrap();
    materialise(&session).await.unwrap();
    assert_eq!(
        count(&db, "SELECT count(*) FROM highwater.job_scope WHERE job = 'broken' AND next_plan_at > now()")
            .await,
        1
    );
}

#[tokio::test]
async fn a_cron_that_makes_no_sense_is_refused_in_words() {
    let db = bare().await;
    for (arguments, words) in [
        (&["--cron", "0 0 31 2 *"][..], "never fires"),
        (&["--cron", "61 * * * *"], "cannot read the cron expression"),
        (&["--cron", "0 0 * * *", "--tz", "Europe/Berlyn"], "unknown time zone \"Europe/Berlyn\""),
        (&["--cron", "0 0 * * *", "--every", "1h"], "cannot be used with"),
        (&[], "--every"),
        (&["--every", "1h", "--tz", "UTC"], "cannot be used with"),
    ] {
        let mut all = vec!["job", "add", "odd", "--function", "work"];
        all.extend(arguments);
        let refused = highwater(&db, &all).await;
        assert!(refused.code() == 2 && refused.stderr.contains(words), "{refused:?}");
    }
    assert_eq!(count(&db, "SELECT count(*) FROM highwater.job").await, 0);
}
