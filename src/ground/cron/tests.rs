//! Cron against a naive oracle that looks at every minute, in zones and weeks where clocks are moved.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, Timelike, Weekday};
use chrono_tz::{OffsetComponents, TZ_VARIANTS};
use proptest::prelude::*;

use super::*;
use crate::ground::config;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn cron(text: &str, zone: &str) -> Cron {
    Cron::parse(text, zone).unwrap_or_else(|error| panic!("{error}"))
}

/// Firings of a range, as UTC texts without the year.
fn fired(text: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
    cron(text, zone).between(at(from), at(to)).map(|at| at.format("%m-%d %H:%M:%S").to_string()).collect()
}

/// What a field says, apart from how it is written.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<u32>,
}

fn field(low: u32, high: u32) -> impl Strategy<Value = Field> {
    let all =
        move |step: u32, from: u32, to: u32| (from..=to).step_by(step as usize).collect::<BTreeSet<u32>>();
    prop_oneof![
        3 => Just(Field { text: "*".into(), values: (low..=high).collect() }),
        2 => (1..=high).prop_map(move |step| Field { text: format!("*/{step}"), values: all(step, low, high) }),
        4 => (low..=high).prop_map(|one| Field { text: one.to_string(), values: [one].into() }),
        3 => prop::collection::vec(low..=high, 1..4).prop_map(|list| Field {
            text: list.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
            values: list.into_iter().collect(),
        }),
        2 => (low..=high, low..=high, 1..4_u32).prop_map(move |(one, other, step)| {
            let (from, to) = (one.min(other), one.max(other));
            let text = if step == 1 { format!("{from}-{to}") } else { format!("{from}-{to}/{step}") };
            Field { text, values: all(step, from, to) }
        }),
    ]
}

/// Which days of a month fire; each form as people would look it up in a calendar.
#[derive(Debug, Clone)]
enum Days {
    All,
    OfMonth(Field),
    OfWeek(Field),
    Last,
    LastWeekday,
    /// The weekday nearest to a day that every month has.
    Nearest(u32),
    Nth(u32, u32),
    LastOf(u32),
}

impl Days {
    fn text(&self) -> String {
        match self {
            Days::All => "*".into(),
            Days::OfMonth(field) | Days::OfWeek(field) => field.text.clone(),
            Days::Last => "L".into(),
            Days::LastWeekday => "LW".into(),
            Days::Nearest(day) => format!("{day}W"),
            Days::Nth(day, nth) => format!("{day}#{nth}"),
            Days::LastOf(day) => format!("{day}L"),
        }
    }

    fn matches(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday();
        let first = date.with_day(1).unwrap();
        let month: Vec<NaiveDate> = first.iter_days().take_while(|one| one.month() == date.month()).collect();
        let is_work = |date: &&NaiveDate| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        match self {
            Days::All => true,
            Days::OfMonth(field) => field.values.contains(&date.day()),
            Days::OfWeek(field) => field.values.contains(&weekday),
            Days::Last => month.last() == Some(&date),
            Days::LastWeekday => month.iter().rev().find(is_work) == Some(&date),
            Days::Nearest(day) => {
                let aim = date.with_day(*day).unwrap();
                let distance = |one: &&NaiveDate| (**one - aim).num_days().abs();
                month.iter().filter(is_work).min_by_key(distance) == Some(&date)
            }
            Days::Nth(day, nth) => weekday == *day && (date.day() - 1) / 7 + 1 == *nth,
            Days::LastOf(day) => weekday == *day && date.day() + 7 > month.len() as u32,
        }
    }
}

#[derive(Debug, Clone)]
struct Sample {
    minute: Field,
    hour: Field,
    day: Days,
    month: Field,
    weekday: Days,
}

impl Sample {
    fn text(&self) -> String {
        let Sample { minute, hour, day, month, weekday } = self;
        format!("{} {} {} {} {}", minute.text, hour.text, day.text(), month.text, weekday.text())
    }

    /// Both kinds of day restricted: either will do, as in every cron since Vixie's.
    fn has_date(&self, date: NaiveDate) -> bool {
        let of_month = || self.day.matches(date);
        let of_week = || self.weekday.matches(date);
        let days = match (self.day.text() == "*", self.weekday.text() == "*") {
            (true, _) => of_week(),
            (_, true) => of_month(),
            _ => of_month() || of_week(),
        };
        days && self.month.values.contains(&date.month())
    }

    fn has_time(&self, wall: NaiveDateTime) -> bool {
        self.minute.values.contains(&wall.minute()) && self.hour.values.contains(&wall.hour())
    }
}

fn samples() -> impl Strategy<Value = Sample> {
    let day = prop_oneof![
        6 => Just(Days::All),
        2 => field(1, 31).prop_map(Days::OfMonth),
        1 => Just(Days::Last),
        1 => Just(Days::LastWeekday),
        1 => (1..=28_u32).prop_map(Days::Nearest),
    ];
    let weekday = prop_oneof![
        6 => Just(Days::All),
        2 => field(0, 6).prop_map(Days::OfWeek),
        1 => (0..=6_u32, 1..=5_u32).prop_map(|(day, nth)| Days::Nth(day, nth)),
        1 => (0..=6_u32).prop_map(Days::LastOf),
    ];
    let every = Just(Field { text: "*".into(), values: (1..=12).collect() });
    let month = prop_oneof![5 => every, 1 => field(1, 12)];
    (field(0, 59), field(0, 23), day, month, weekday).prop_map(|(minute, hour, day, month, weekday)| Sample {
        minute,
        hour,
        day,
        month,
        weekday,
    })
}

/// The oracle: what a clock on the wall in the zone would make fire, minute by minute of `[from, to)`.
fn look_at_every_minute(
    sample: &Sample,
    zone: Tz,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> BTreeSet<DateTime<Utc>> {
    let is_fixed = !sample.hour.text.contains(['*', '/']);
    let mut date: Option<(NaiveDate, bool)> = None;
    let mut matches = |wall: NaiveDateTime| {
        if date.is_none_or(|(known, _)| known != wall.date()) {
            date = Some((wall.date(), sample.has_date(wall.date())));
        }
        date.is_some_and(|(_, holds)| holds) && sample.has_time(wall)
    };
    let (mut found, mut shown) = (BTreeSet::new(), BTreeSet::new());
    // Begins early, so that what the clock has shown before is known.
    let mut moment = from - TimeDelta::days(1);
    let mut previous: Option<NaiveDateTime> = None;
    while moment < to {
        let wall = moment.with_timezone(&zone).naive_local();
        // Minutes that the clock jumped over.
        let mut skipped = previous.map_or(wall, |previous| previous + TimeDelta::minutes(1));
        while skipped < wall {
            if matches(skipped) {
                found.insert(moment);
            }
            skipped += TimeDelta::minutes(1);
        }
        if matches(wall) && (shown.insert(wall) || !is_fixed) {
            found.insert(moment);
        }
        previous = Some(wall);
        moment += TimeDelta::minutes(1);
    }
    found.split_off(&from)
}

/// A day in the zone's year on which clocks are moved; any day of a year that has none.
fn near_a_move(zone: Tz, year: i32, pick: usize) -> DateTime<Utc> {
    let start = NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_time(chrono::NaiveTime::MIN).and_utc();
    let offset = |day: i64| {
        let offset = *(start + TimeDelta::days(day)).with_timezone(&zone).offset();
        offset.base_utc_offset() + offset.dst_offset()
    };
    let moved: Vec<i64> = (0..365).filter(|&day| offset(day) != offset(day + 1)).collect();
    let day = if moved.is_empty() { (pick % 365) as i64 } else { moved[pick % moved.len()] };
    start + TimeDelta::days(day)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if config::env("HIGHWATER_SOAK").is_some() { 1_000_000 } else { 300 }))]

    #[test]
    fn cron_agrees_with_a_clock_on_the_wall(
        sample in samples(), zone in 0..TZ_VARIANTS.len(), year in 2000..2037_i32, pick in 0..1000_usize,
        moments in prop::collection::vec(0..2 * 24 * 3600_i64, 8)
    ) {
        let zone = TZ_VARIANTS[zone];
        let moved = near_a_move(zone, year, pick);
        let (from, to) = (moved - TimeDelta::hours(12), moved + TimeDelta::hours(36));
        let cron = match Cron::parse(&sample.text(), zone.name()) {
            Ok(cron) => cron,
            Err(CronError::NeverFires { .. }) => {
                prop_assert!(!(0..1461).any(|day| sample.has_date(from.date_naive() + TimeDelta::days(day))));
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let expected = look_at_every_minute(&sample, zone, from, to);
        let found: Vec<_> = cron.between(from, to).collect();
        prop_assert_eq!(&found, &expected.iter().copied().collect::<Vec<_>>(), "{} in {}", sample.text(), zone);
        for second in moments {
            let moment = from + TimeDelta::seconds(second);
            if let Some(next) = expected.range(moment + TimeDelta::seconds(1)..).next() {
                prop_assert_eq!(cron.next_after(moment), Some(*next), "after {}", moment);
            }
            if let Some(last) = expected.range(..=moment).next_back() {
                prop_assert_eq!(cron.latest_at_or_before(moment), Some(*last), "at or before {}", moment);
            }
        }
    }
}

#[test]
fn a_time_in_a_gap_fires_once_when_the_gap_ends() {
    let day = ("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
    assert_eq!(fired("30 2 * * *", "Europe/Berlin", day.0, day.1), ["03-29 01:00:00"]);
    // 02:00 falls on 03:00, which is a firing of its own: one, not two.
    assert_eq!(fired("0 2,3 * * *", "Europe/Berlin", day.0, day.1), ["03-29 01:00:00"]);
    // A day that a zone never had: 2011-12-30 in Samoa.
    let samoa = fired("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-31T00:00:00Z");
    assert_eq!(samoa, ["12-29 22:00:00", "12-30 10:00:00", "12-30 22:00:00"]);
}

#[test]
fn a_fixed_time_in_a_fold_fires_once_and_a_wildcard_in_both_passes() {
    let night = ("2026-10-25T00:00:00Z", "2026-10-25T02:30:00Z");
    assert_eq!(fired("30 2 * * *", "Europe/Berlin", night.0, night.1), ["10-25 00:30:00"]);
    assert_eq!(fired("0 2,3 * * *", "Europe/Berlin", night.0, night.1), ["10-25 00:00:00", "10-25 02:00:00"]);
    assert_eq!(fired("0 1-3 * * *", "Europe/Berlin", night.0, night.1), ["10-25 00:00:00", "10-25 02:00:00"]);
    assert_eq!(
        fired("*/30 * * * *", "Europe/Berlin", night.0, night.1),
        ["10-25 00:00:00", "10-25 00:30:00", "10-25 01:00:00", "10-25 01:30:00", "10-25 02:00:00"]
    );
    // A fold of half an hour.
    let lord_howe =
        fired("15 * * * *", "Australia/Lord_Howe", "2026-04-04T13:30:00Z", "2026-04-04T16:30:00Z");
    assert_eq!(lord_howe, ["04-04 14:15:00", "04-04 15:45:00"]);
}

#[test]
fn in_the_second_pass_the_last_firing_may_lie_in_the_first() {
    // At 02:15 shown for the second time, 02:30 has been shown once.
    let cron = cron("30 2 * * *", "Europe/Berlin");
    let second_pass = at("2026-10-25T01:15:00Z");
    assert_eq!(cron.latest_at_or_before(second_pass), Some(at("2026-10-25T00:30:00Z")));
    assert_eq!(cron.next_after(second_pass), Some(at("2026-10-26T01:30:00Z")));
}

#[test]
fn every_form_is_read() {
    let next = |text: &str| {
        cron(text, "UTC")
            .next_after(at("2026-11-25T12:34:56Z"))
            .unwrap()
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    };
    for (text, expected) in [
        ("*/15 * * * *", "2026-11-25 12:45:00"),
        ("10 * * * * *", "2026-11-25 12:35:10"),
        ("0 9 * * mon-fri", "2026-11-26 09:00:00"),
        ("0 9 * * FRI-SUN", "2026-11-27 09:00:00"),
        ("0 9 * * 7", "2026-11-29 09:00:00"),
        ("0 9 1 jan,jul *", "2027-01-01 09:00:00"),
        ("0 0 L * *", "2026-11-30 00:00:00"),
        ("0 0 LW * *", "2026-11-30 00:00:00"),
        ("0 0 15W * *", "2026-12-15 00:00:00"),
        ("0 0 * * MON#1", "2026-12-07 00:00:00"),
        ("0 0 * * FRIL", "2026-11-27 00:00:00"),
        ("0 0 13 * +FRI", "2027-08-13 00:00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 0 ? * 1", "2026-11-30 00:00:00"),
        ("@hourly", "2026-11-25 13:00:00"),
        ("@Daily", "2026-11-26 00:00:00"),
        ("@midnight", "2026-11-26 00:00:00"),
        ("@weekly", "2026-11-29 00:00:00"),
        ("@monthly", "2026-12-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("CRON_TZ=Asia/Kolkata 0 0 * * *", "2026-11-25 18:30:00"),
        ("TZ=America/New_York @daily", "2026-11-26 05:00:00"),
    ] {
        assert_eq!(next(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_or_never_fires_is_refused_in_words() {
    for (text, words) in [
        ("0 0 31 2 *", "never fires"),
        ("0 0 30 feb *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("0 0 0 1 1 * 2027", "7 fields"),
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day of month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 8", "day of week"),
        ("*/0 * * * *", "minute"),
        ("5/15 * * * *", "5-MAX/15"),
        ("0 22-2 * * *", "runs backwards"),
        ("0,,5 * * * *", "empty"),
        ("0 0 * JAN1 *", "JAN"),
        ("0 0 * * MONDAY", "MONDAY"),
        ("0 0 * * SUN1", "SUN"),
        ("H * * * *", "H"),
        ("L * * * *", "L"),
        ("0 0 32W * *", "day of month"),
        ("0 0 * * 1#6", "day of week"),
        ("@reboot", "@daily"),
        ("@every 5m", "@daily"),
        ("ü * * * *", "ASCII"),
        ("CRON_TZ=Mars/Olympus 0 0 * * *", "Mars/Olympus"),
    ] {
        let error = Cron::parse(text, "UTC").map(|cron| cron.text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!(Cron::parse("0 0 * * *", "Berlin").unwrap_err().to_string().contains("Europe/Berlin"));
}

#[test]
fn an_expression_is_told_in_words() {
    assert_eq!(cron("*/15 * * * *", "UTC").explain(), "Every 15 minutes, in UTC");
    assert!(cron("0 * * * *", "Asia/Kolkata").explain().ends_with("in Asia/Kolkata; each time where clocks show the time twice, at the end of the gap where they skip it"));
}
