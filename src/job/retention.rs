//! Retention: which records of one group in one repository stay, and by which rule each goes. Pure; the host's zone says
//! where hours, days, weeks, months and years begin.
//!
//! Rules only keep: a record goes when none of them wants it. Then two floors hold whatever the rules say: pinned records
//! stay and are not counted, and at least `min` of the others stay, the newest. Only complete records are counted and only
//! they go: one that is under way is safe while its job lives, and one that is missing or corrupt is no backup to count on.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::ground::wire::id::RecordId;

/// How many of what are kept; `None`: no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rules {
    pub last: Option<u32>,
    pub hourly: Option<u32>,
    pub daily: Option<u32>,
    pub weekly: Option<u32>,
    pub monthly: Option<u32>,
    pub yearly: Option<u32>,
    /// Never fewer than this, pinned ones not counted; at least 1 holds always.
    pub min: u32,
}

/// A complete record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub id: RecordId,
    pub at: DateTime<Utc>,
    pub is_pinned: bool,
}

/// What is to become of a record, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub id: RecordId,
    pub at: DateTime<Utc>,
    pub stays: bool,
    /// Of one that stays: every rule that wants it. Of one that goes: the rules that none of which does.
    pub rules: Vec<String>,
}

/// The spans of which the newest record is kept.
const PERIODS: [Period; 5] = [Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    fn name(self) -> &'static str {
        match self {
            Period::Hour => "hourly",
            Period::Day => "daily",
            Period::Week => "weekly",
            Period::Month => "monthly",
            Period::Year => "yearly",
        }
    }

    fn count(self, rules: &Rules) -> Option<u32> {
        match self {
            Period::Hour => rules.hourly,
            Period::Day => rules.daily,
            Period::Week => rules.weekly,
            Period::Month => rules.monthly,
            Period::Year => rules.yearly,
        }
    }

    /// Names the period in which a moment lies, as clocks in the zone show it; equal names are one period. An hour that
    /// clocks show twice is two.
    fn of(self, at: DateTime<Utc>, zone: Tz) -> String {
        let local = at.with_timezone(&zone);
        match self {
            Period::Hour => local.format("%Y-%m-%d %H:00 %z").to_string(),
            Period::Day => local.format("%Y-%m-%d").to_string(),
            // Weeks begin on Monday, and belong to the year of their Thursday.
            Period::Week => format!("{}-W{:02}", local.iso_week().year(), local.iso_week().week()),
            Period::Month => local.format("%Y-%m").to_string(),
            Period::Year => local.year().to_string(),
        }
    }
}

impl Rules {
    /// Whether any rule lets anything go.
    pub fn is_empty(&self) -> bool {
        self.last.is_none() && PERIODS.iter().all(|period| period.count(self).is_none())
    }

    /// The rules in words.
    pub fn words(&self) -> Vec<String> {
        let last = self.last.map(|count| format!("last {count}"));
        let periods =
            PERIODS.iter().filter_map(|period| Some(format!("{} {}", period.name(), period.count(self)?)));
        last.into_iter().chain(periods).collect()
    }
}

/// Decides over the complete records of one group in one repository; newest first.
///
/// # Example
///
/// ```
/// use highwater::ground::wire::id::RecordId;
/// use highwater::job::retention::{Candidate, Rules, plan};
/// let rules = Rules { last: Some(1), hourly: None, daily: None, weekly: None, monthly: None, yearly: None, min: 1 };
/// let at = |day| format!("2026-11-{day}T03:00:00Z").parse().unwrap();
/// let record = |day| Candidate { id: RecordId::fresh(), at: at(day), is_pinned: false };
/// let plan = plan(&[record("21"), record("22")], &rules, chrono_tz::Tz::UTC);
/// assert_eq!(plan.iter().map(|one| one.stays).collect::<Vec<_>>(), [true, false]);
/// assert_eq!(plan[1].rules, ["none of last 1"]);
/// ```
pub fn plan(records: &[Candidate], rules: &Rules, zone: Tz) -> Vec<Decision> {
    let mut sorted = records.to_vec();
    sorted.sort_by_key(|record| std::cmp::Reverse((record.at, record.id)));
    let mut wanted: Vec<Vec<String>> = vec![Vec::new(); sorted.len()];
    let counted: Vec<usize> = (0..sorted.len()).filter(|&index| !sorted[index].is_pinned).collect();
    for (record, wanted) in sorted.iter().zip(&mut wanted) {
        if record.is_pinned {
            wanted.push("pinned".to_owned());
        }
    }
    if rules.is_empty() {
        for &index in &counted {
            wanted[index].push("there is no rule".to_owned());
        }
    }
    for (&index, place) in counted.iter().zip(1_u64..) {
        if rules.last.is_some_and(|last| place <= u64::from(last)) {
            wanted[index].push(format!("last {place} of {}", rules.last.unwrap_or_default()));
        }
    }
    for period in PERIODS {
        let Some(most) = period.count(rules) else { continue };
        let mut last_seen = None;
        let mut kept = 0_u32;
        for &index in &counted {
            if kept == most {
                break;
            }
            let span = period.of(sorted[index].at, zone);
            if last_seen.as_ref() != Some(&span) {
                kept += 1;
                wanted[index].push(format!("{} {span}", period.name()));
                last_seen = Some(span);
            }
        }
    }
    let floor = usize::try_from(rules.min.max(1)).unwrap_or(usize::MAX);
    let staying = counted.iter().filter(|&&index| !wanted[index].is_empty()).count();
    let mut missing = floor.saturating_sub(staying);
    for &index in &counted {
        if missing > 0 && wanted[index].is_empty() {
            wanted[index].push(format!("at least {floor}"));
            missing -= 1;
        }
    }
    let none = format!("none of {}", rules.words().join(", "));
    sorted
        .iter()
        .zip(wanted)
        .map(|(record, rules)| Decision {
            id: record.id,
            at: record.at,
            stays: !rules.is_empty(),
            rules: if rules.is_empty() { vec![none.clone()] } else { rules },
        })
        .collect()
}
