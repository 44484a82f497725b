//! What a server says to each event of a batch.

use serde::{Deserialize, Serialize};

use super::state::words;

words!(
    /// What became of an event.
    Verdict {
        Applied = "applied",
        /// The same event was there already.
        Duplicate = "duplicate",
        /// Adds nothing newer; kept all the same.
        Stale = "stale",
        /// Contradicts what is there; kept, and an alarm raised.
        Conflict = "conflict",
        /// Cannot be, whenever it is sent again.
        Rejected = "rejected",
        /// Not now: send it again.
        Retry = "retry",
    }
);

/// The verdict on one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// As it was sent; null when the event had none that can be read.
    pub event_id: Option<String>,
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The answer to a batch, in the order in which its events were sent; the status is 200 whatever the verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    pub verdicts: Vec<Line>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_words_in_both_directions() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::read(verdict.word()), Some(*verdict));
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
        let text = r#"{"verdicts":[{"event_id":"0198","verdict":"stale"},{"event_id":null,"verdict":"rejected","detail":"no id"}]}"#;
        let read: Verdicts = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
