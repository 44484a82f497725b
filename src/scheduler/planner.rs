//! Which plan times a scope owes: pure arithmetic on instants that come from the database's clock.
//!
//! In: a job's rule, where its scope stands, the present. Out: plans to write, each to run or skipped with the reason,
//! and where the scope stands then. The cursor moves over exactly the plan times that were answered for, one way or the
//! other; it is never derived from the plans themselves, so that an older failure is never stranded behind a newer plan.

use chrono::{DateTime, TimeDelta, Utc};

use super::SchedulerError;
use super::timing::{Count, Timing};

/// What is done about missed plan times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// The newest runs and covers the others.
    Latest,
    /// All run, oldest first.
    Every,
}

impl CatchUp {
    /// The word in the ledger.
    pub fn word(self) -> &'static str {
        match self {
            CatchUp::Latest => "latest",
            CatchUp::Every => "every",
        }
    }

    /// Reads the word of the ledger.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::UnknownWord`].
    pub fn read(word: &str) -> Result<CatchUp, SchedulerError> {
        [CatchUp::Latest, CatchUp::Every]
            .into_iter()
            .find(|known| known.word() == word)
            .ok_or_else(|| SchedulerError::UnknownWord { what: "catch-up", word: word.to_owned() })
    }
}

/// A job's rule.
#[derive(Debug, Clone)]
pub struct Rule {
    pub timing: Timing,
    /// A plan is due this long after its time.
    pub delay: TimeDelta,
    pub catch_up: CatchUp,
    /// Plan times that are older than this are not made up for.
    pub window: TimeDelta,
    /// With [`CatchUp::Every`]: how many more plans may wait.
    pub room: usize,
    /// Everything that is due is skipped.
    pub is_paused: bool,
}

/// One plan time and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub plan_time: DateTime<Utc>,
    pub verdict: Verdict,
}

/// What is to become of a plan time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Run,
    /// A newer plan does its work.
    Covered {
        by: DateTime<Utc>,
    },
    /// This and the following ones, `count` in all up to `last` inclusive, were missed by more than the window; one
    /// row stands for all of them.
    TooOld {
        count: Count,
        last: DateTime<Utc>,
    },
    /// As `TooOld`, while the job was paused.
    Paused {
        count: Count,
        last: DateTime<Utc>,
    },
}

impl Verdict {
    /// Why the plan does not run; empty when it does.
    pub fn why(&self) -> String {
        let at = |instant: &DateTime<Utc>| instant.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        let many = |count: Count, last: &DateTime<Utc>| match count {
            Count { number: 1, .. } => String::new(),
            Count { number, is_least } => {
                let more = if is_least { " and more" } else { "" };
                format!("; {number}{more} plan times up to {}", at(last))
            }
        };
        match self {
            Verdict::Run => String::new(),
            Verdict::Covered { by } => format!("covered by the plan of {}", at(by)),
            Verdict::TooOld { count, last } => format!("outside the catch-up window{}", many(*count, last)),
            Verdict::Paused { count, last } => format!("the job is paused{}", many(*count, last)),
        }
    }
}

/// The plan times of `(cursor, now - delay]`, and where the scope stands once they are written.
///
/// Plan times come oldest first. With [`CatchUp::Every`] and too little room the later ones are left for another time,
/// and the cursor stays before them.
pub fn plan(rule: &Rule, cursor: DateTime<Utc>, now: DateTime<Utc>) -> (Vec<Planned>, DateTime<Utc>) {
    let timing = &rule.timing;
    let present = now - rule.delay;
    let (Some(newest), Some(first)) = (timing.latest(present), timing.next(cursor)) else {
        return (Vec::new(), cursor);
    };
    if first > newest {
        return (Vec::new(), cursor);
    }
    if rule.is_paused {
        let verdict = Verdict::Paused { count: timing.count(first, newest), last: newest };
        return (vec![Planned { plan_time: first, verdict }], newest);
    }
    let mut planned = Vec::new();
    let mut reached = cursor;
    // The present plan time is never too old: a window shorter than the cadence makes up for nothing.
    let kept = match present.checked_sub_signed(rule.window).filter(|edge| *edge >= first) {
        Some(edge) => timing.next(edge).unwrap_or(newest).min(newest),
        None => first,
    };
    if kept > first
        && let Some(last) = timing.latest(kept - TimeDelta::microseconds(1))
    {
        let verdict = Verdict::TooOld { count: timing.count(first, last), last };
        planned.push(Planned { plan_time: first, verdict });
        reached = last;
    }
    let mut room = rule.room;
    let mut next = Some(kept);
    while let Some(at) = next.filter(|at| *at <= newest) {
        let verdict = match rule.catch_up {
            CatchUp::Latest if at < newest => Verdict::Covered { by: newest },
            CatchUp::Latest => Verdict::Run,
            CatchUp::Every if room == 0 => break,
            CatchUp::Every => {
                room -= 1;
                Verdict::Run
            }
        };
        planned.push(Planned { plan_time: at, verdict });
        reached = at;
        next = timing.next(at);
    }
    (planned, reached)
}

#[cfg(test)]
#[path = "planner/tests.rs"]
mod tests;
