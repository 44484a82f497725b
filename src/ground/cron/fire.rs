//! From wall-clock times to instants. The two orders differ only where clocks go back: there the second pass shows
//! times again that the walk over the wall clock has left behind.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};

use super::Cron;

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// The instants at which a wall-clock time fires.
enum Firing {
    Once(DateTime<Utc>),
    Twice(DateTime<Utc>, DateTime<Utc>),
}

/// The first firing after `instant`, exclusive.
pub(super) fn next_after(cron: &Cron, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let wall = floor(cron.wall_clock(instant));
    let ahead = first_after(cron, wall + SECOND, instant);
    // In the first pass of a fold: its second pass lies ahead, and shows earlier times than the walk goes on with.
    match fold(cron.zone, wall) {
        Some((first, second)) if !cron.is_fixed && instant < first + SECOND => {
            let start = fold_start(cron.zone, wall, second - first);
            least(ahead, first_after(cron, start, end_of_first_pass(cron.zone, start)))
        }
        _ => ahead,
    }
}

/// The last firing at or before `instant`.
pub(super) fn latest_at_or_before(cron: &Cron, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let wall = floor(cron.wall_clock(instant));
    let behind = last_upto(cron, wall, instant);
    // In the second pass of a fold: its first pass lies behind, and showed later times than the walk comes from.
    match fold(cron.zone, wall) {
        Some((first, second)) if instant >= second => {
            let end = fold_start(cron.zone, wall, second - first) + (second - first);
            behind.max(last_upto(cron, end - SECOND, instant))
        }
        _ => behind,
    }
}

/// The first firing later than `instant` among wall-clock times from `wall` on, inclusive.
fn first_after(cron: &Cron, wall: NaiveDateTime, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut found = cron.fields.find_next_occurrence(&wall, true).ok()?;
    loop {
        match firing(cron, found) {
            Firing::Once(at) | Firing::Twice(at, _) if at > instant => return Some(at),
            Firing::Twice(_, again) if again > instant => return Some(again),
            // Fired already: the first pass of a fixed time, or times that a gap has brought together.
            _ => found = cron.fields.find_next_occurrence(&found, false).ok()?,
        }
    }
}

/// The last firing at or before `instant` among wall-clock times up to `wall`, inclusive.
fn last_upto(cron: &Cron, wall: NaiveDateTime, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut found = cron.fields.find_previous_occurrence(&wall, true).ok()?;
    loop {
        match firing(cron, found) {
            Firing::Twice(_, again) if again <= instant => return Some(again),
            Firing::Once(at) | Firing::Twice(at, _) if at <= instant => return Some(at),
            _ => found = cron.fields.find_previous_occurrence(&found, false).ok()?,
        }
    }
}

fn firing(cron: &Cron, wall: NaiveDateTime) -> Firing {
    match cron.zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) => Firing::Once(at.with_timezone(&Utc)),
        MappedLocalTime::Ambiguous(first, second) if !cron.is_fixed => {
            Firing::Twice(first.with_timezone(&Utc), second.with_timezone(&Utc))
        }
        MappedLocalTime::Ambiguous(first, _) => Firing::Once(first.with_timezone(&Utc)),
        MappedLocalTime::None => Firing::Once(end_of_gap(cron.zone, wall)),
    }
}

/// Both instants of a wall-clock time that clocks show twice.
fn fold(zone: Tz, wall: NaiveDateTime) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Ambiguous(first, second) => {
            Some((first.with_timezone(&Utc), second.with_timezone(&Utc)))
        }
        MappedLocalTime::Single(_) | MappedLocalTime::None => None,
    }
}

/// The first time of a fold that is `length` long and shows `wall`, to the second.
fn fold_start(zone: Tz, wall: NaiveDateTime, length: TimeDelta) -> NaiveDateTime {
    // `wall - length` lies before the fold, `wall - inside` within it.
    let (mut inside, mut outside) = (0, length.num_seconds());
    while outside - inside > 1 {
        let middle = inside + (outside - inside) / 2;
        if fold(zone, wall - TimeDelta::seconds(middle)).is_some() {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    wall - TimeDelta::seconds(inside)
}

/// The last instant of the first pass of the fold that starts at `start`.
fn end_of_first_pass(zone: Tz, start: NaiveDateTime) -> DateTime<Utc> {
    let (_, second) = fold(zone, start).expect("a fold starts within itself");
    second - TimeDelta::nanoseconds(1)
}

/// The first instant after the gap that swallows `wall`.
fn end_of_gap(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    match GapInfo::new(&wall, &zone).and_then(|gap| gap.end) {
        Some(end) => end.with_timezone(&Utc),
        // A gap without an end is not in the zone data; the offset of the day before is as good as any.
        None => {
            let before = zone.offset_from_utc_datetime(&(wall - TimeDelta::days(1))).fix();
            (wall - TimeDelta::seconds(i64::from(before.local_minus_utc()))).and_utc()
        }
    }
}

fn floor(wall: NaiveDateTime) -> NaiveDateTime {
    wall.with_nanosecond(0).unwrap_or(wall)
}

fn least(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}
