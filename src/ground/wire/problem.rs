//! Problem documents (RFC 9457): how every error of the API is told.

use serde::{Deserialize, Serialize};

/// Media type of the document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error for programs and people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What programs branch on: `urn:highwater:NAME`, or `about:blank` when the status says all.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub status: u16,
    /// This occurrence, with its remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The resource or request that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

fn blank() -> String {
    "about:blank".to_owned()
}

/// The first use of an idempotency key is still in progress; the same request will have its answer later.
pub const IN_PROGRESS: &str = "urn:highwater:in-progress";

/// An idempotency key was used for another body.
pub const KEY_REUSED: &str = "urn:highwater:key-reused";

/// A precondition (If-Match, If-None-Match) did not hold.
pub const PRECONDITION_FAILED: &str = "urn:highwater:precondition-failed";

impl Problem {
    /// Reads a problem from an answer's body; none if it is not one.
    pub fn read(body: &[u8]) -> Option<Problem> {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        value.get("title").or_else(|| value.get("type"))?;
        serde_json::from_value(value).ok()
    }
}

/// The detail, or the title.
impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.detail.as_deref().unwrap_or(&self.title))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_it_was_written_and_a_page_is_none() {
        let problem = Problem {
            kind: IN_PROGRESS.to_owned(),
            title: "in progress".to_owned(),
            status: 409,
            detail: Some("the first request with this key has not ended".to_owned()),
            instance: None,
        };
        let body = serde_json::to_vec(&problem).unwrap();
        assert_eq!(Problem::read(&body), Some(problem));
        assert_eq!(Problem::read(b"<html>502 Bad Gateway</html>"), None);
        assert_eq!(Problem::read(br#"{"verdicts": []}"#), None);
        assert_eq!(Problem::read(br#"{"title": "gone"}"#).unwrap().kind, "about:blank");
    }
}
