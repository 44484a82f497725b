//! Points in time as flags: `2024-03`, `2024-03-15`, `2024-03-15T12:00:00Z`.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// Reads a month, a date (both at their first instant, UTC) or a full instant.
///
/// # Errors
///
/// A sentence that says what is expected.
pub fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.with_timezone(&Utc));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .or_else(|_| NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d"))
        .map_err(|_| {
            "expected a month (2024-03), a date (2024-03-15) or an instant (2024-03-15T12:00:00Z)".to_owned()
        })?;
    Ok(date.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_dates_and_instants_are_read() {
        let first = parse("2024-03").unwrap();
        assert_eq!(first, parse("2024-03-01").unwrap());
        assert_eq!(first, parse("2024-03-01T05:30:00+05:30").unwrap());
        assert!(parse("March").unwrap_err().contains("2024-03-15"));
    }
}
