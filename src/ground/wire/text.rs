//! Texts that end up in Postgres: without NUL, which it refuses. A log tail with one in it must not cost a host its
//! report, so it is replaced where the document is read.

use serde::{Deserialize, Deserializer};

/// Largest log tail of a step, in bytes.
pub const LOG_TAIL_BYTES: usize = 64 * 1024;

/// Largest error or reason, in bytes.
pub const WORDS_BYTES: usize = 16 * 1024;

/// Longest name, in bytes.
pub const NAME_BYTES: usize = 255;

/// A text with every NUL replaced.
pub fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The end of a text, at most `most` bytes long and cut between characters.
///
/// ```
/// use highwater::ground::wire::text::tail;
/// assert_eq!(tail("naïve", 3), "ve");
/// assert_eq!(tail("naïve", 4), "ïve");
/// ```
pub fn tail(text: &str, most: usize) -> &str {
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

pub(super) fn optional<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(reader)?.map(|text| clean(&text)))
}

pub(super) fn required<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    Ok(clean(&String::deserialize(reader)?))
}
