//! Calendar months in UTC: the slices of every rollup.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};

/// One calendar month `[start, end)` in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// The month that holds `instant`.
    ///
    /// ```
    /// use highwater::ground::month::Month;
    /// let instant = "2024-02-29T23:59:59Z".parse().unwrap();
    /// assert_eq!(Month::of(instant).to_string(), "2024-02");
    /// ```
    pub fn of(instant: DateTime<Utc>) -> Month {
        let date = instant.date_naive();
        Month { first: date.with_day(1).expect("every month has a first day") }
    }

    /// Start of the month, inclusive.
    pub fn start(self) -> DateTime<Utc> {
        self.first.and_time(NaiveTime::MIN).and_utc()
    }

    /// Start of the next month: the exclusive end of this one.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).start()
    }

    /// The month `count` months later.
    ///
    /// # Panics
    ///
    /// Beyond the year 262,000, where chrono's calendar ends.
    pub fn plus(self, count: u32) -> Month {
        Month { first: self.first.checked_add_months(Months::new(count)).expect("within chrono's calendar") }
    }

    /// The month `count` months earlier.
    ///
    /// # Panics
    ///
    /// Before the year -262,000, where chrono's calendar begins.
    pub fn minus(self, count: u32) -> Month {
        Month { first: self.first.checked_sub_months(Months::new(count)).expect("within chrono's calendar") }
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let month = Month::of("2023-12-31T23:59:59Z".parse().unwrap());
        assert_eq!(month.to_string(), "2023-12");
        assert_eq!(month.end(), Month::of(month.end()).start());
        assert_eq!(month.plus(1).to_string(), "2024-01");
        assert_eq!(month.plus(1).minus(1), month);
    }
}
