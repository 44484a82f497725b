//! Tables for people: columns set apart by spaces, no lines.

use crate::command::say::say;
use comfy_table::Table;

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
