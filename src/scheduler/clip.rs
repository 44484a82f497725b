//! Texts that go into the ledger: short enough, and of characters that Postgres takes.

/// Longest error, in characters.
pub const ERROR_CHARACTERS: usize = 4_000;

/// Largest result, in bytes of its JSON text.
pub const RESULT_BYTES: usize = 16 * 1024;

/// A text without NUL, which Postgres refuses, and cut to `most` characters; never inside one.
///
/// ```
/// use highwater::scheduler::clip::text;
/// assert_eq!(text("naïve\0 error", 5), "naïve…");
/// assert_eq!(text("a\0b", 5), "a\u{fffd}b");
/// ```
pub fn text(text: &str, most: usize) -> String {
    let mut characters = text.chars().map(|one| if one == '\0' { char::REPLACEMENT_CHARACTER } else { one });
    let mut kept: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}

/// An error as the ledger takes it; never empty, which would read as no error.
pub fn error(words: &str) -> String {
    if words.trim().is_empty() {
        return "failed without a word".to_owned();
    }
    text(words, ERROR_CHARACTERS)
}

/// A result as the ledger takes it. One that is too large is replaced by a note of its size: it must not turn a run
/// that went well into one that cannot be recorded.
pub fn result(value: &serde_json::Value) -> String {
    if value.is_null() {
        return String::new();
    }
    // Of all that JSON may hold jsonb refuses only this.
    let json = value.to_string().replace("\\u0000", "\\ufffd");
    if json.len() <= RESULT_BYTES {
        return json;
    }
    serde_json::json!({"omitted_bytes": json.len()}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_clipped_text_is_short_free_of_nul_and_a_prefix(words in "\\PC*|[\\x00a-zß-ÿ漢😀]*", most in 0_usize..50) {
            let clipped = text(&words, most);
            prop_assert!(!clipped.contains('\0'));
            prop_assert!(clipped.chars().count() <= most + 1);
            if words.chars().count() <= most {
                prop_assert_eq!(clipped, words.replace('\0', "\u{fffd}"));
            }
        }
    }

    #[test]
    fn a_result_that_is_too_large_leaves_a_note_of_its_size() {
        let large = serde_json::Value::String("x".repeat(RESULT_BYTES));
        assert_eq!(result(&large), format!("{{\"omitted_bytes\":{}}}", RESULT_BYTES + 2));
        assert_eq!(result(&serde_json::Value::Null), "");
        assert_eq!(result(&serde_json::json!({"a": "b\0"})), "{\"a\":\"b\\ufffd\"}");
    }
}
