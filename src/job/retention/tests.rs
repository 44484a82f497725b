//! Retention against a naive oracle, and the floors that no rule may break.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const NONE: Rules =
    Rules { last: None, hourly: None, daily: None, weekly: None, monthly: None, yearly: None, min: 1 };

fn record(number: u128, at: &str) -> Candidate {
    Candidate { id: RecordId(Uuid::from_u128(number)), at: at.parse().unwrap(), is_pinned: false }
}

fn staying(records: &[Candidate], rules: &Rules, zone: Tz) -> BTreeSet<RecordId> {
    plan(records, rules, zone).iter().filter(|one| one.stays).map(|one| one.id).collect()
}

/// The same rules the long way round: group by the printed period, take the newest of each of the last groups.
fn oracle(records: &[Candidate], rules: &Rules, zone: Tz) -> BTreeSet<RecordId> {
    let mut keep: BTreeSet<RecordId> = records
        .iter()
        .filter(|record| record.is_pinned || rules.is_empty())
        .map(|record| record.id)
        .collect();
    let mut free: Vec<&Candidate> = records.iter().filter(|record| !record.is_pinned).collect();
    free.sort_by_key(|record| (record.at, record.id));
    free.reverse();
    keep.extend(free.iter().take(rules.last.unwrap_or(0) as usize).map(|record| record.id));
    for (format, count) in [
        ("%Y%m%d%H%z", rules.hourly),
        ("%Y%m%d", rules.daily),
        ("%G%V", rules.weekly),
        ("%Y%m", rules.monthly),
        ("%Y", rules.yearly),
    ] {
        let mut newest: BTreeMap<DateTime<Utc>, RecordId> = BTreeMap::new();
        let mut groups: BTreeMap<String, (DateTime<Utc>, RecordId)> = BTreeMap::new();
        for record in &free {
            let key = record.at.with_timezone(&zone).format(format).to_string();
            let best = groups.entry(key).or_insert((record.at, record.id));
            *best = (*best).max((record.at, record.id));
        }
        for (at, id) in groups.values() {
            newest.insert(*at, *id);
        }
        keep.extend(newest.values().rev().take(count.unwrap_or(0) as usize));
    }
    for record in &free {
        if free.iter().filter(|record| keep.contains(&record.id)).count() >= rules.min.max(1) as usize {
            break;
        }
        keep.insert(record.id);
    }
    keep
}

fn rules() -> impl Strategy<Value = Rules> {
    let count = || proptest::option::of(1_u32..6);
    (count(), count(), count(), count(), count(), count(), 0_u32..5).prop_map(
        |(last, hourly, daily, weekly, monthly, yearly, min)| Rules {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
            min,
        },
    )
}

fn records() -> impl Strategy<Value = Vec<Candidate>> {
    // Two years around both changes of the clocks, in steps that fall on and beside the boundaries.
    let one = (0_i64..2 * 366 * 48, any::<bool>(), 0_u8..6);
    proptest::collection::vec(one, 0..40).prop_map(|drawn| {
        let mut taken = BTreeSet::new();
        let begin: DateTime<Utc> = "2025-01-01T00:00:00Z".parse().unwrap();
        drawn
            .into_iter()
            .filter(|(half_hours, ..)| taken.insert(*half_hours))
            .zip(1_u128..)
            .map(|((half_hours, is_late, pin), number)| Candidate {
                id: RecordId(Uuid::from_u128(number)),
                at: begin + TimeDelta::minutes(30 * half_hours) - TimeDelta::seconds(i64::from(is_late)),
                is_pinned: pin == 0,
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn every_plan_is_what_the_long_way_says(records in records(), rules in rules(), zone in 0_usize..4) {
        let zone = [Tz::UTC, Tz::Europe__Berlin, Tz::Asia__Kathmandu, Tz::Australia__Lord_Howe][zone];
        prop_assert_eq!(staying(&records, &rules, zone), oracle(&records, &rules, zone));
    }

    #[test]
    fn the_floors_hold_whatever_the_rules_say(records in records(), rules in rules()) {
        let keep = staying(&records, &rules, Tz::Europe__Berlin);
        let free: Vec<&Candidate> = records.iter().filter(|record| !record.is_pinned).collect();
        for record in &records {
            prop_assert!(!record.is_pinned || keep.contains(&record.id));
        }
        let kept = free.iter().filter(|record| keep.contains(&record.id)).count();
        prop_assert!(kept >= free.len().min(rules.min.max(1) as usize));
        // The newest good one never goes.
        if let Some(newest) = free.iter().max_by_key(|record| (record.at, record.id)) {
            prop_assert!(keep.contains(&newest.id));
        }
    }

    // What was pruned yesterday is not missed today: deciding again over what is left changes nothing.
    #[test]
    fn a_plan_carried_out_is_a_plan_with_nothing_to_do(records in records(), rules in rules()) {
        let keep = staying(&records, &rules, Tz::Europe__Berlin);
        let left: Vec<Candidate> = records.into_iter().filter(|record| keep.contains(&record.id)).collect();
        prop_assert_eq!(staying(&left, &rules, Tz::Europe__Berlin), keep);
    }
}

// The model for this, elsewhere: everything older than a limit went, however few there were.
#[test]
fn an_old_and_only_backup_stays() {
    let records = [record(1, "2001-01-01T00:00:00Z"), record(2, "2001-01-02T00:00:00Z")];
    let rules = Rules { hourly: Some(1), ..NONE };
    assert_eq!(staying(&records, &rules, Tz::UTC), BTreeSet::from([records[1].id]));
    assert_eq!(staying(&records[..1], &rules, Tz::UTC).len(), 1);
}

#[test]
fn without_a_rule_everything_stays() {
    let records: Vec<Candidate> =
        (1..9).map(|day| record(day, &format!("2026-11-0{day}T00:00:00Z"))).collect();
    assert_eq!(staying(&records, &NONE, Tz::UTC).len(), 8);
}

#[test]
fn days_are_those_of_the_hosts_zone() {
    // 23:30 and 00:30 in Berlin are two days there and one in UTC.
    let records = [record(1, "2026-11-20T22:30:00Z"), record(2, "2026-11-20T23:30:00Z")];
    let rules = Rules { daily: Some(2), ..NONE };
    assert_eq!(staying(&records, &rules, Tz::Europe__Berlin).len(), 2);
    assert_eq!(staying(&records, &rules, Tz::UTC), BTreeSet::from([records[1].id]));
}

#[test]
fn an_hour_that_clocks_show_twice_is_two_hours() {
    let records = [record(1, "2026-10-25T00:30:00Z"), record(2, "2026-10-25T01:30:00Z")];
    let rules = Rules { hourly: Some(2), ..NONE };
    assert_eq!(staying(&records, &rules, Tz::Europe__Berlin).len(), 2);
}

#[test]
fn a_decision_says_by_which_rules() {
    let mut records = [
        record(1, "2026-11-20T01:00:00Z"),
        record(2, "2026-11-21T01:00:00Z"),
        record(3, "2026-11-21T02:00:00Z"),
    ];
    records[0].is_pinned = true;
    let rules = Rules { last: Some(1), daily: Some(1), ..NONE };
    let said: Vec<Vec<String>> = plan(&records, &rules, Tz::UTC).into_iter().map(|one| one.rules).collect();
    assert_eq!(
        said,
        [
            vec!["last 1 of 1".to_owned(), "daily 2026-11-21".to_owned()],
            vec!["none of last 1, daily 1".to_owned()],
            vec!["pinned".to_owned()]
        ]
    );
}
