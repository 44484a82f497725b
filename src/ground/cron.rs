//! Cron with time zones: when a schedule fires, in UTC.
//!
//! In: an expression and an IANA zone. Out: instants, and a sentence for people. Everything here is pure; "now" is
//! passed in.
//!
//! croner reads the fields and walks the wall clock, a calendar without a zone. What a wall-clock time means where
//! clocks are moved is decided here, because croner fires `0 2,3 * * *` twice when clocks go back from 03:00 to 02:00:
//!
//! | the wall clock | what fires |
//! |---|---|
//! | skips the time | once, at the first instant after the gap |
//! | shows the time twice, the hour is fixed (numbers, lists, ranges) | once, in the first pass |
//! | shows the time twice, the hour is `*` or has a step | in both passes |
//!
//! Two times that fall on one instant are one firing.

mod expression;
mod fire;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub use expression::CronError;

/// An expression in its zone; it fires at least once a leap-year cycle.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    zone: Tz,
    fields: croner::Cron,
    /// Whether the hour is neither `*` nor a step, so that each time of day fires once a day.
    is_fixed: bool,
}

impl Cron {
    /// Reads an expression of five fields (minute first) or six (second first), with names, lists, ranges, steps, `L`,
    /// `W`, `LW`, `#`, `+` before a weekday that must hold as well, or one of `@hourly`, `@daily`, `@midnight`,
    /// `@weekly`, `@monthly`, `@yearly`, `@annually`. `CRON_TZ=Zone` or `TZ=Zone` before it overrides `zone`.
    ///
    /// # Errors
    ///
    /// [`CronError`], also for an expression that can never fire.
    ///
    /// # Example
    ///
    /// ```
    /// use highwater::ground::cron::Cron;
    /// let nightly = Cron::parse("30 2 * * *", "Europe/Berlin").unwrap();
    /// // Clocks there go from 02:00 to 03:00: the slot fires at the first instant after the gap.
    /// let fired = nightly.next_after("2026-03-29T00:00:00Z".parse().unwrap()).unwrap();
    /// assert_eq!(fired.to_rfc3339(), "2026-03-29T01:00:00+00:00");
    /// assert!(Cron::parse("0 0 31 2 *", "UTC").is_err());
    /// ```
    pub fn parse(text: &str, zone: &str) -> Result<Cron, CronError> {
        expression::parse(text, zone)
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone in which it fires.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first firing after `instant`, exclusive. `None`: none before the calendar's end in the year 5000.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        fire::next_after(self, instant)
    }

    /// The last firing at or before `instant`. `None`: none since the year 1.
    pub fn latest_at_or_before(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        fire::latest_at_or_before(self, instant)
    }

    /// The firings of `[from, to)`, in order.
    pub fn between(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        let before = from - TimeDelta::nanoseconds(1);
        std::iter::successors(self.next_after(before), |&last| self.next_after(last))
            .take_while(move |&fired| fired < to)
    }

    /// The expression in words, with its zone and what it does where clocks are moved.
    ///
    /// ```
    /// use highwater::ground::cron::Cron;
    /// let cron = Cron::parse("30 2 * * MON", "Europe/Berlin").unwrap();
    /// assert_eq!(
    ///     cron.explain(),
    ///     "At 02:30, on Monday, in Europe/Berlin; once where clocks show the time twice, \
    ///      at the end of the gap where they skip it"
    /// );
    /// ```
    pub fn explain(&self) -> String {
        let words = self.fields.describe();
        let words = words.trim_end_matches('.').replace("At every", "Every");
        let zone = self.zone.name();
        if self.zone == Tz::UTC {
            return format!("{words}, in {zone}");
        }
        let twice = if self.is_fixed {
            "once where clocks show the time twice"
        } else {
            "each time where clocks show the time twice"
        };
        format!("{words}, in {zone}; {twice}, at the end of the gap where they skip it")
    }

    /// What clocks in the zone show at `instant`.
    pub fn wall_clock(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        instant.with_timezone(&self.zone).naive_local()
    }
}
