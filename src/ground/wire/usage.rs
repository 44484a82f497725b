//! One use of a model, as a line of `POST /v1/usage`. The same `event_id` of a tenant again is the same event.

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};

use super::WireError;
use super::text::NAME_BYTES;

/// One use of a model by a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    pub event_id: String,
    /// None: that of the caller. Another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    pub occurred_at: DateTime<Utc>,
    pub runtime: String,
    pub agent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    pub provider: String,
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(default)]
    pub input_tokens: i64,
    #[serde(default)]
    pub output_tokens: i64,
    #[serde(default)]
    pub cache_read_tokens: i64,
    #[serde(default)]
    pub cache_write_tokens: i64,
}

impl Usage {
    /// Reads and checks one line for a tenant.
    ///
    /// # Errors
    ///
    /// A [`WireError`] that names the field.
    pub fn read(line: &[u8], tenant: &str) -> Result<Usage, WireError> {
        let usage: Usage = serde_json::from_slice(line)
            .map_err(|error| WireError::Unreadable { what: "usage", reason: error.to_string() })?;
        usage.check(tenant)?;
        Ok(usage)
    }

    fn check(&self, tenant: &str) -> Result<(), WireError> {
        let invalid = |field, reason: &str| Err(WireError::Invalid { field, reason: reason.to_owned() });
        let needed = [
            ("event_id", &self.event_id),
            ("runtime", &self.runtime),
            ("agent", &self.agent),
            ("provider", &self.provider),
            ("model", &self.model),
        ];
        let optional = [("project", &self.project), ("task", &self.task)];
        let texts = needed
            .iter()
            .map(|(field, text)| (*field, text.as_str()))
            .chain(optional.iter().filter_map(|(field, text)| text.as_deref().map(|text| (*field, text))));
        for (field, text) in texts {
            if text.is_empty() {
                return invalid(field, "is empty");
            }
            if text.len() > NAME_BYTES {
                return invalid(field, &format!("is longer than {NAME_BYTES} bytes"));
            }
            if text.contains('\0') {
                return invalid(field, "holds a NUL character");
            }
        }
        if self.tenant.as_deref().is_some_and(|own| own != tenant) {
            return invalid("tenant", "is not that of the token");
        }
        let counts = [
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("cache_read_tokens", self.cache_read_tokens),
            ("cache_write_tokens", self.cache_write_tokens),
        ];
        for (field, count) in counts {
            if count < 0 {
                return invalid(field, "is negative");
            }
        }
        if !(1970..=9999).contains(&self.occurred_at.year()) {
            return invalid("occurred_at", "is not in the years 1970 to 9999");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"event_id": "e1", "occurred_at": "2026-11-22T03:04:05Z", "runtime": "r", "agent": "a",
        "provider": "p", "model": "m", "input_tokens": 7}"#;

    #[test]
    fn a_line_is_filled_with_nothing_spent_and_no_project() {
        let usage = Usage::read(LINE.as_bytes(), "acme").unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.project), (7, 0, None));
    }

    #[test]
    fn a_bad_line_names_its_field() {
        for (from, to, field) in [
            ("\"e1\"", "\"\"", "event_id"),
            ("7}", "-7}", "input_tokens"),
            ("7}", "7, \"tenant\": \"other\"}", "tenant"),
            ("7}", "7, \"extra\": 1}", "extra"),
            ("2026", "0900", "occurred_at"),
            ("\"r\"", "\"r\\u0000\"", "runtime"),
            ("\"model\": \"m\", ", "", "model"),
        ] {
            let error = Usage::read(LINE.replace(from, to).as_bytes(), "acme").unwrap_err().to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
    }
}
