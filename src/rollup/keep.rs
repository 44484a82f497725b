//! How long something is kept: a count of days, weeks, months or years, as a definition says it.

use std::fmt;

use serde::Deserialize;

/// A span of the calendar, such as `90 days`; whole and at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Keep {
    count: u16,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

/// The longest span, a hundred years in days: beyond it a mistake is likelier than a wish.
const MOST: u16 = 36_600;

impl Unit {
    fn parse(text: &str) -> Option<Unit> {
        match text {
            "day" | "days" => Some(Unit::Day),
            "week" | "weeks" => Some(Unit::Week),
            "month" | "months" => Some(Unit::Month),
            "year" | "years" => Some(Unit::Year),
            _ => None,
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Unit::Day => "days",
            Unit::Week => "weeks",
            Unit::Month => "months",
            Unit::Year => "years",
        }
    }
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Keep, String> {
        let wrong = || {
            format!("\"{text}\" is no span to keep; write it as \"90 days\", \"18 months\" or \"5 years\"")
        };
        let (count, unit) = text.split_once(' ').ok_or_else(wrong)?;
        let count: u16 = count.parse().map_err(|_| wrong())?;
        let unit = Unit::parse(unit).ok_or_else(wrong)?;
        if count == 0 || count > MOST {
            return Err(wrong());
        }
        Ok(Keep { count, unit })
    }
}

impl fmt::Display for Keep {
    /// Also what Postgres reads as an interval.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.count, self.unit.plural())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, read) in
            [("90 days", "90 days"), ("1 day", "1 days"), ("18 months", "18 months"), ("5 years", "5 years")]
        {
            assert_eq!(Keep::try_from(text.to_owned()).unwrap().to_string(), read);
        }
        for text in
            ["90", "90days", "0 days", "-1 days", "90 d", "1.5 years", "99999 days", "40000 years", ""]
        {
            assert!(Keep::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
