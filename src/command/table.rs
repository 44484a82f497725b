//! Tables for people: columns set apart by spaces, no lines.

use std::time::Duration;

use chrono::{DateTime, Utc};
use comfy_table::Table;

use crate::command::say::say;

/// An empty table with a header.
pub fn plain<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    table
}

/// Prints a table without the padding that the style puts at both ends of a line.
pub fn print(table: &Table) {
    for line in table.lines() {
        say!("{}", line.trim_end().strip_prefix(' ').unwrap_or(&line));
    }
}

/// A moment in UTC to the second, or a dash.
pub fn at(instant: Option<DateTime<Utc>>) -> String {
    instant.map_or("-".to_owned(), |instant| instant.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// A span in words: `1h 30m`.
pub fn span(seconds: i64) -> String {
    humantime::format_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or_default())).to_string()
}

/// A size with its unit: `1.5 GiB`.
pub fn bytes(count: i64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = count as f64;
    let mut unit = "B";
    for next in UNITS {
        // Beyond this a number of more than three digits would be shown.
        if size < 1000.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") }
}
