//! Moments and spans as tables spell them.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A moment in UTC, to the second.
pub fn at(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// As [`at`]; a dash for none.
pub fn at_or_dash(instant: Option<DateTime<Utc>>) -> String {
    instant.map_or("-".to_owned(), at)
}

/// How long something took, exactly; a dash for none.
pub fn took(ms: Option<i64>) -> String {
    let span = ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    span.map_or("-".to_owned(), |span| humantime::format_duration(span).to_string())
}

/// How long it is until something, in its two largest units, `ago` when it is past; a dash for none.
pub fn left(ms: Option<i64>) -> String {
    let Some(ms) = ms else { return "-".to_owned() };
    let span = Duration::from_secs(ms.unsigned_abs() / 1000);
    let words = humantime::format_duration(span).to_string();
    let short: Vec<&str> = words.split(' ').take(2).collect();
    format!("{}{}", short.join(" "), if ms < 0 { " ago" } else { "" })
}

/// The beginning of a text, on one line; a dash for none.
pub fn brief(words: Option<&str>) -> String {
    /// Characters that leave a table readable.
    const MOST: usize = 60;
    words
        .map_or("-".to_owned(), |words| words.lines().next().unwrap_or_default().chars().take(MOST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_two_units() {
        assert_eq!(left(Some(90_061_000)), "1day 1h");
        assert_eq!(left(Some(-61_000)), "1m 1s ago");
        assert_eq!(left(None), "-");
    }
}
