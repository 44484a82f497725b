//! When plan times are: a cadence apart in UTC, or as a cron expression fires in its zone. Pure arithmetic on instants.

use chrono::{DateTime, TimeDelta, Utc};

use super::SchedulerError;
use crate::ground::cron::Cron;

/// Where plan times of a cadence are counted from: Monday, 2001-01-01 00:00 UTC, so that a week falls on Mondays.
pub(super) const ORIGIN_SECONDS: i64 = 978_307_200;

/// Plan times of a cron are counted one by one, and no further than this; a cadence counts any number at once.
const MOST_COUNTED: i64 = 10_000;

/// When plan times are.
#[derive(Debug, Clone)]
pub enum Timing {
    /// This far apart; at least a millisecond.
    Every(TimeDelta),
    Cron(Box<Cron>),
}

/// How many plan times lie in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub number: i64,
    /// There are more, which nobody has counted.
    pub is_least: bool,
}

impl Timing {
    /// Reads the columns `cadence_ms`, `cron` and `tz` of a job.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::Invalid`] for an expression or zone that this build does not understand.
    pub fn read(
        cadence_ms: Option<i64>,
        cron: Option<&str>,
        tz: Option<&str>,
    ) -> Result<Timing, SchedulerError> {
        match (cadence_ms, cron) {
            (_, Some(cron)) => Cron::parse(cron, tz.unwrap_or("UTC"))
                .map(|cron| Timing::Cron(Box::new(cron)))
                .map_err(|error| SchedulerError::Invalid(error.to_string())),
            (Some(cadence), None) => Ok(Timing::Every(TimeDelta::milliseconds(cadence.max(1)))),
            (None, None) => Err(SchedulerError::Invalid("a job has neither a cadence nor a cron".to_owned())),
        }
    }

    /// The last plan time at or before an instant. `None` only for a cron that has never fired.
    pub fn latest(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Timing::Every(cadence) => Some(floor(instant, *cadence)),
            Timing::Cron(cron) => cron.latest_at_or_before(instant),
        }
    }

    /// The first plan time after an instant, exclusive. `None` only for a cron that will never fire again.
    pub fn next(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Timing::Every(cadence) => Some(floor(instant, *cadence) + *cadence),
            Timing::Cron(cron) => cron.next_after(instant),
        }
    }

    /// When plan times are, in words.
    pub fn explain(&self) -> String {
        match self {
            Timing::Every(cadence) => {
                format!("every {}", humantime::format_duration(cadence.to_std().unwrap_or_default()))
            }
            Timing::Cron(cron) => cron.explain(),
        }
    }

    /// How many plan times there are from one to another, both included.
    pub(super) fn count(&self, first: DateTime<Utc>, last: DateTime<Utc>) -> Count {
        match self {
            Timing::Every(cadence) => {
                let number = (last - first).num_milliseconds() / cadence.num_milliseconds().max(1) + 1;
                Count { number, is_least: false }
            }
            Timing::Cron(cron) => {
                let (mut number, mut at) = (1, first);
                while number < MOST_COUNTED
                    && let Some(next) = cron.next_after(at).filter(|next| *next <= last)
                {
                    (number, at) = (number + 1, next);
                }
                Count { number, is_least: at < last && cron.next_after(at).is_some_and(|next| next <= last) }
            }
        }
    }
}

/// The last plan time of a cadence at or before an instant.
///
/// ```
/// use highwater::scheduler::timing::floor;
/// let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
/// assert_eq!(floor(at("2026-11-22T10:07:59Z"), chrono::TimeDelta::minutes(5)), at("2026-11-22T10:05:00Z"));
/// assert_eq!(floor(at("2026-11-22T10:05:00Z"), chrono::TimeDelta::minutes(5)), at("2026-11-22T10:05:00Z"));
/// assert_eq!(floor(at("2026-11-22T10:07:59Z"), chrono::TimeDelta::weeks(1)), at("2026-11-16T00:00:00Z"));
/// ```
pub fn floor(instant: DateTime<Utc>, cadence: TimeDelta) -> DateTime<Utc> {
    let width = cadence.num_milliseconds().max(1);
    let origin = DateTime::UNIX_EPOCH + TimeDelta::seconds(ORIGIN_SECONDS);
    let since = (instant - origin).num_microseconds().unwrap_or(i64::MAX).div_euclid(1_000);
    origin + TimeDelta::milliseconds(since.div_euclid(width) * width)
}
