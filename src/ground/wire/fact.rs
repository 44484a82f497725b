//! What an event says: its kind and its payload.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WireError;
use super::id::RecordId;
use super::state::{Ended, Reason, StepState};
use super::text::{self, LOG_TAIL_BYTES, NAME_BYTES, WORDS_BYTES};

/// The fact that an event reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The host began a run by itself, most often while offline.
    JobOpened(Opened),
    JobStarted,
    /// May be coalesced or shed: the newest says all.
    JobProgress(Progress),
    StepStarted(Step),
    StepFinished(Step),
    RecordUnderway(Record),
    RecordPublished(Record),
    JobFinished(Finished),
    SlotMissed(Slot),
    SlotSkipped(Slot),
}

/// A run that the host began by itself. Groups and schedules are named by id or by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    #[serde(default, deserialize_with = "text::required")]
    pub source_group: String,
    /// None for a run by hand.
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Where the archive goes, by id, by name or by URL; none where the group has one repository only.
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_done: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_done: Option<u64>,
}

/// A step that began or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    #[serde(deserialize_with = "text::required")]
    pub step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StepState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The end of what it printed, at most 64 KiB.
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<String>,
    /// Why it was skipped.
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_added: Option<u64>,
}

/// An archive that is being written, or is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub record: RecordId,
    /// The id that the repository's own program gave it.
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_added: Option<u64>,
    /// Of the stored bytes, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The end of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub state: Ended,
    /// One of [`super::state::ErrorClass`], or a word of another agent's own.
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub error_class: Option<String>,
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_added: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// A slot at which nothing ran. Groups and schedules are named by id or by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    #[serde(deserialize_with = "text::required")]
    pub source_group: String,
    #[serde(deserialize_with = "text::required")]
    pub schedule: String,
    pub slot_at: DateTime<Utc>,
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Fact {
    /// Every kind, in the order in which a run tells them.
    pub const KINDS: [&'static str; 10] = [
        "job.opened",
        "job.started",
        "job.progress",
        "step.started",
        "step.finished",
        "record.underway",
        "record.published",
        "job.finished",
        "slot.missed",
        "slot.skipped",
    ];

    /// The word of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Fact::JobOpened(_) => "job.opened",
            Fact::JobStarted => "job.started",
            Fact::JobProgress(_) => "job.progress",
            Fact::StepStarted(_) => "step.started",
            Fact::StepFinished(_) => "step.finished",
            Fact::RecordUnderway(_) => "record.underway",
            Fact::RecordPublished(_) => "record.published",
            Fact::JobFinished(_) => "job.finished",
            Fact::SlotMissed(_) => "slot.missed",
            Fact::SlotSkipped(_) => "slot.skipped",
        }
    }

    /// Whether the event must name a job; slots have none.
    pub fn needs_job(&self) -> bool {
        !matches!(self, Fact::SlotMissed(_) | Fact::SlotSkipped(_))
    }

    /// Reads a payload of a kind; a missing one counts as empty.
    ///
    /// # Errors
    ///
    /// [`WireError::UnknownKind`], or [`WireError::Unreadable`] when a field is missing or of another type.
    pub fn read(kind: &str, payload: Option<Value>) -> Result<Fact, WireError> {
        let payload =
            payload.filter(|value| !value.is_null()).unwrap_or_else(|| Value::Object(Default::default()));
        Ok(match kind {
            "job.opened" => Fact::JobOpened(parse(payload)?),
            "job.started" => Fact::JobStarted,
            "job.progress" => Fact::JobProgress(parse(payload)?),
            "step.started" => Fact::StepStarted(parse(payload)?),
            "step.finished" => Fact::StepFinished(parse(payload)?),
            "record.underway" => Fact::RecordUnderway(parse(payload)?),
            "record.published" => Fact::RecordPublished(parse(payload)?),
            "job.finished" => Fact::JobFinished(parse(payload)?),
            "slot.missed" => Fact::SlotMissed(parse(payload)?),
            "slot.skipped" => Fact::SlotSkipped(parse(payload)?),
            _ => {
                return Err(WireError::UnknownKind {
                    kind: text::clean(kind).chars().take(NAME_BYTES).collect(),
                });
            }
        })
    }

    /// Its payload as JSON; an empty object for a kind without one.
    pub fn payload(&self) -> Value {
        let written = match self {
            Fact::JobStarted => return Value::Object(Default::default()),
            Fact::JobOpened(payload) => serde_json::to_value(payload),
            Fact::JobProgress(payload) => serde_json::to_value(payload),
            Fact::StepStarted(payload) | Fact::StepFinished(payload) => serde_json::to_value(payload),
            Fact::RecordUnderway(payload) | Fact::RecordPublished(payload) => serde_json::to_value(payload),
            Fact::JobFinished(payload) => serde_json::to_value(payload),
            Fact::SlotMissed(payload) | Fact::SlotSkipped(payload) => serde_json::to_value(payload),
        };
        written.expect("these types have text keys only")
    }

    /// Looks at the values: names that are there and short, counts that fit a `bigint`, digests that are digests.
    ///
    /// # Errors
    ///
    /// [`WireError::Invalid`] with the first field that cannot be.
    pub fn check(&self) -> Result<(), WireError> {
        match self {
            Fact::JobStarted => Ok(()),
            Fact::JobOpened(opened) => {
                name("source_group", &opened.source_group)?;
                opened.schedule.as_deref().map_or(Ok(()), |schedule| name("schedule", schedule))?;
                opened.slot_at.map_or(Ok(()), |slot| moment("slot_at", slot))?;
                match opened.attempt {
                    Some(0) => Err(invalid("attempt", "is counted from 1")),
                    Some(attempt) if i32::try_from(attempt).is_err() => {
                        Err(invalid("attempt", "is too large"))
                    }
                    _ => Ok(()),
                }
            }
            Fact::JobProgress(progress) => {
                count("bytes_done", progress.bytes_done)?;
                count("bytes_total", progress.bytes_total)?;
                count("files_done", progress.files_done)
            }
            Fact::StepStarted(step) => step.check(),
            Fact::StepFinished(step) => {
                step.check()?;
                match step.state {
                    Some(state) if state.is_final() => Ok(()),
                    Some(state) => Err(invalid("state", format!("\"{state}\" is no end of a step"))),
                    None => Err(invalid("state", "is missing")),
                }
            }
            Fact::RecordUnderway(record) | Fact::RecordPublished(record) => {
                count("bytes_total", record.bytes_total)?;
                count("bytes_added", record.bytes_added)?;
                words("snapshot", record.snapshot.as_deref(), NAME_BYTES)?;
                match &record.sha256 {
                    Some(digest) if !is_sha256(digest) => {
                        Err(invalid("sha256", "must be 64 hexadecimal digits in lower case"))
                    }
                    _ => Ok(()),
                }
            }
            Fact::JobFinished(finished) => {
                count("bytes_total", finished.bytes_total)?;
                count("bytes_added", finished.bytes_added)?;
                count("files", finished.files)?;
                words("error_class", finished.error_class.as_deref(), NAME_BYTES)?;
                words("error", finished.error.as_deref(), WORDS_BYTES)
            }
            Fact::SlotMissed(slot) | Fact::SlotSkipped(slot) => {
                name("source_group", &slot.source_group)?;
                name("schedule", &slot.schedule)?;
                moment("slot_at", slot.slot_at)?;
                words("why", slot.why.as_deref(), WORDS_BYTES)
            }
        }
    }
}

impl Step {
    fn check(&self) -> Result<(), WireError> {
        name("step", &self.step)?;
        count("bytes_added", self.bytes_added)?;
        words("log_tail", self.log_tail.as_deref(), LOG_TAIL_BYTES)?;
        words("reason", self.reason.as_deref(), WORDS_BYTES)
    }
}

/// Whether a text is a SHA-256 in lower-case hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn parse<T: DeserializeOwned>(payload: Value) -> Result<T, WireError> {
    serde_json::from_value(payload)
        .map_err(|error| WireError::Unreadable { what: "payload", reason: error.to_string() })
}

pub(super) fn invalid(field: &'static str, reason: impl Into<String>) -> WireError {
    WireError::Invalid { field, reason: reason.into() }
}

pub(super) fn name(field: &'static str, value: &str) -> Result<(), WireError> {
    if value.trim().is_empty() {
        return Err(invalid(field, "is missing"));
    }
    words(field, Some(value), NAME_BYTES)
}

fn words(field: &'static str, value: Option<&str>, most_bytes: usize) -> Result<(), WireError> {
    match value {
        Some(value) if value.len() > most_bytes => {
            Err(invalid(field, format!("has {} bytes; at most {most_bytes} are taken", value.len())))
        }
        _ => Ok(()),
    }
}

fn count(field: &'static str, value: Option<u64>) -> Result<(), WireError> {
    match value {
        Some(value) if i64::try_from(value).is_err() => Err(invalid(field, "is too large")),
        _ => Ok(()),
    }
}

/// Within what every part of the system can represent.
pub(super) fn moment(field: &'static str, value: DateTime<Utc>) -> Result<(), WireError> {
    use chrono::Datelike;
    if (1970..=9999).contains(&value.year()) {
        Ok(())
    } else {
        Err(invalid(field, "is not in the years 1970 to 9999"))
    }
}
