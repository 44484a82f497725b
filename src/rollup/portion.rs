//! How much of a month one transaction fills: all of it, unless that would take too long; then parts that grow and shrink
//! with what the part before took.
//!
//! In: the month's rows and the time that a transaction may take. Out: the width of its next part. Pure; how far the parts
//! have come stands in the slice's row (`filled_to`).

use std::time::Duration;

use super::estimate::ASSUMED_ROWS_PER_SECOND;
use super::ledger::Pending;

/// From one part to the next the width changes by this factor at most: events are not spread evenly over a month.
const MOST_CHANGE: f64 = 4.0;

/// A month that is to be filled, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Portion {
    pub slice: Pending,
    /// Seconds of event time that the next part spans; `None` stands for the whole month.
    pub width: Option<f64>,
}

impl Portion {
    /// The first one of a month. It goes by a rate that an ordinary server reaches: what small months took says little.
    pub fn first(slice: Pending, longest: Duration) -> Portion {
        let expected = slice.source_rows as f64 / ASSUMED_ROWS_PER_SECOND as f64;
        let month = (slice.month.end() - slice.month.start()).num_seconds() as f64;
        let part = longest.as_secs_f64() / expected;
        Portion { slice, width: (part < 1.0).then_some(month * part) }
    }

    /// The one after a part that took so long.
    pub fn next(self, took: Duration, longest: Duration) -> Portion {
        let change = longest.as_secs_f64() / took.as_secs_f64().max(f64::MIN_POSITIVE);
        let width = self.width.map(|width| width * change.clamp(1.0 / MOST_CHANGE, MOST_CHANGE));
        Portion { slice: self.slice, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::month::Month;

    const LONGEST: Duration = Duration::from_secs(30);

    fn april(source_rows: i64) -> Pending {
        Pending { month: Month::of("2024-04-01T00:00:00Z".parse().unwrap()), source_rows }
    }

    #[test]
    fn a_month_that_fits_is_filled_whole() {
        assert_eq!(Portion::first(april(0), LONGEST).width, None);
        assert_eq!(Portion::first(april(9_000_000), LONGEST).width, None);
    }

    #[test]
    fn a_month_that_does_not_is_filled_in_parts_that_follow_the_time_they_take() {
        let first = Portion::first(april(90_000_000), LONGEST);
        assert_eq!(first.width, Some(3.0 * 86_400.0));
        assert_eq!(first.next(Duration::from_secs(60), LONGEST).width, Some(1.5 * 86_400.0));
        assert_eq!(first.next(Duration::from_secs(15), LONGEST).width, Some(6.0 * 86_400.0));
        assert_eq!(first.next(Duration::ZERO, LONGEST).width, Some(12.0 * 86_400.0));
        assert_eq!(first.next(Duration::from_secs(3_000), LONGEST).width, Some(0.75 * 86_400.0));
    }
}
