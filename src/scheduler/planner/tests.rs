//! The planner against a naive oracle that looks at every second.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::scheduler::timing::{ORIGIN_SECONDS, floor};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn second(number: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(ORIGIN_SECONDS + number)
}

fn cadence(rule: &Rule) -> TimeDelta {
    match rule.timing {
        Timing::Every(cadence) => cadence,
        Timing::Cron(_) => unreachable!("crons have tests of their own"),
    }
}

/// What becomes of each plan time, found by asking every second of `(cursor, now]` in turn. Runs of skipped plan times
/// that one row stands for are spread out, so that both sides speak of single plan times.
fn oracle(rule: &Rule, cursor: DateTime<Utc>, now: DateTime<Utc>) -> BTreeMap<DateTime<Utc>, &'static str> {
    let cadence = cadence(rule).num_seconds();
    let mut due = Vec::new();
    let mut moment = cursor + TimeDelta::seconds(1);
    while moment + rule.delay <= now {
        if (moment.timestamp() - ORIGIN_SECONDS).rem_euclid(cadence) == 0 {
            due.push(moment);
        }
        moment += TimeDelta::seconds(1);
    }
    let newest = due.last().copied();
    let mut room = rule.room;
    let mut found = BTreeMap::new();
    for moment in due {
        let is_newest = Some(moment) == newest;
        let word = if rule.is_paused {
            "paused"
        } else if moment <= now - rule.delay - rule.window && !is_newest {
            "too old"
        } else if rule.catch_up == CatchUp::Latest {
            if is_newest { "run" } else { "covered" }
        } else if room > 0 {
            room -= 1;
            "run"
        } else {
            break;
        };
        found.insert(moment, word);
    }
    found
}

fn spread(rule: &Rule, planned: &[Planned]) -> BTreeMap<DateTime<Utc>, &'static str> {
    let mut found = BTreeMap::new();
    for one in planned {
        let (count, word) = match one.verdict {
            Verdict::Run => (1, "run"),
            Verdict::Covered { .. } => (1, "covered"),
            Verdict::TooOld { count, .. } => (count.number, "too old"),
            Verdict::Paused { count, .. } => (count.number, "paused"),
        };
        for step in 0..count {
            let moment = one.plan_time + cadence(rule) * i32::try_from(step).unwrap();
            assert_eq!(found.insert(moment, word), None, "a plan time twice");
        }
        if let Verdict::TooOld { count, last } | Verdict::Paused { count, last } = one.verdict {
            assert_eq!(last, one.plan_time + cadence(rule) * i32::try_from(count.number - 1).unwrap());
        }
    }
    found
}

fn rules() -> impl Strategy<Value = Rule> {
    (1_i64..90, 0_i64..40, any::<bool>(), 0_i64..200, 0_usize..6, prop::bool::weighted(0.1)).prop_map(
        |(cadence, delay, latest, window, room, is_paused)| Rule {
            timing: Timing::Every(TimeDelta::seconds(cadence)),
            delay: TimeDelta::seconds(delay),
            catch_up: if latest { CatchUp::Latest } else { CatchUp::Every },
            window: TimeDelta::seconds(window),
            room,
            is_paused,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_planner_agrees_with_a_look_at_every_second(
        rule in rules(), cursor in -2_000_i64..2_000, waited in 0_i64..600
    ) {
        let (cursor, now) = (second(cursor), second(cursor + waited));
        let (planned, reached) = plan(&rule, cursor, now);
        let expected = oracle(&rule, cursor, now);
        prop_assert_eq!(spread(&rule, &planned), expected.clone());
        // The cursor covers exactly what was answered for.
        prop_assert_eq!(reached, expected.last_key_value().map_or(cursor, |(moment, _)| *moment));
    }

    #[test]
    fn many_small_steps_answer_for_each_plan_time_once(
        rule in rules(), cursor in -2_000_i64..2_000, steps in prop::collection::vec(0_i64..80, 1..20)
    ) {
        // Room and pause may differ from step to step in life; here they stay, and room is ample.
        let rule = Rule { room: 1_000, ..rule };
        let start = second(cursor);
        let (mut stand, mut now) = (start, start);
        let mut answered = Vec::new();
        for step in steps {
            now += TimeDelta::seconds(step);
            let (planned, reached) = plan(&rule, stand, now);
            answered.extend(spread(&rule, &planned).into_keys());
            stand = reached;
        }
        let expected: Vec<_> = oracle(&rule, start, now).into_keys().collect();
        prop_assert_eq!(answered, expected);
    }
}

#[test]
fn a_plan_time_is_the_floor_of_its_instant_in_utc() {
    // On the boundary, inside a bucket, and given in another zone.
    let five = TimeDelta::minutes(5);
    assert_eq!(floor(at("2026-03-29T01:05:00Z"), five), at("2026-03-29T01:05:00Z"));
    assert_eq!(floor(at("2026-03-29T01:09:59.999999Z"), five), at("2026-03-29T01:05:00Z"));
    assert_eq!(floor(at("2026-03-29T06:37:00+05:30"), five), at("2026-03-29T01:05:00Z"));
    assert_eq!(floor(at("1999-12-31T23:59:59.5Z"), TimeDelta::days(1)), at("1999-12-31T00:00:00Z"));
}

#[test]
fn a_scope_that_is_up_to_date_owes_nothing() {
    let rule = Rule {
        timing: Timing::Every(TimeDelta::minutes(1)),
        delay: TimeDelta::zero(),
        catch_up: CatchUp::Every,
        window: TimeDelta::hours(1),
        room: 10,
        is_paused: false,
    };
    let now = at("2026-11-22T10:00:30Z");
    assert_eq!(plan(&rule, at("2026-11-22T10:00:00Z"), now), (Vec::new(), at("2026-11-22T10:00:00Z")));
    // A clock that went back makes no plan and does not move the cursor back.
    assert_eq!(plan(&rule, at("2026-11-22T11:00:00Z"), now), (Vec::new(), at("2026-11-22T11:00:00Z")));
}

#[test]
fn plan_times_of_a_cron_are_counted_up_to_a_bound_and_the_record_says_so() {
    let secondly = Timing::read(None, Some("* * * * * *"), Some("UTC")).unwrap();
    let rule = Rule {
        timing: secondly,
        delay: TimeDelta::zero(),
        catch_up: CatchUp::Latest,
        window: TimeDelta::zero(),
        room: 1,
        is_paused: true,
    };
    let (planned, reached) = plan(&rule, at("2026-11-22T00:00:00Z"), at("2026-11-23T00:00:00Z"));
    assert_eq!(reached, at("2026-11-23T00:00:00Z"));
    let why = planned[0].verdict.why();
    assert_eq!(why, "the job is paused; 10000 and more plan times up to 2026-11-23 00:00:00 UTC");
}
