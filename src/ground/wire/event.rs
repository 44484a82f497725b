//! An event: one fact of a host, with its identity and its place in the host's order.
//!
//! A batch is read event by event, so that one bad event costs nobody else a verdict.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::WireError;
use super::fact::{Fact, invalid, moment};
use super::id::{EventId, JobId};
use super::text::{self, NAME_BYTES};

/// Most events of one request.
pub const BATCH_EVENTS: usize = 500;

/// Largest body of one request, in bytes.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// One fact of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub event_id: EventId,
    /// Raised at every start of the agent, so that (host, epoch, seq) never repeats.
    pub epoch: i64,
    /// The host's order; never derived from a clock.
    pub seq: i64,
    /// None only for slots at which nothing ran.
    pub job: Option<JobId>,
    pub fact: Fact,
    /// By the host's clock, which may be wrong.
    pub event_at: DateTime<Utc>,
    /// Opaque; another one means that `mono_ms` began anew.
    pub boot_id: Option<String>,
    /// Milliseconds since the host booted, counted by a clock that nobody sets.
    pub mono_ms: Option<i64>,
    /// How far the host's clock was ahead when the event was written, in milliseconds; none if no server was asked in
    /// this boot. `event_at` minus this is the server's time.
    pub skew_ms: Option<i64>,
}

/// The event as it lies in JSON.
#[derive(Serialize, Deserialize)]
struct Raw {
    event_id: EventId,
    epoch: i64,
    seq: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    kind: String,
    event_at: DateTime<Utc>,
    #[serde(default, deserialize_with = "text::optional", skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mono_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skew_ms: Option<i64>,
    #[serde(default)]
    payload: Option<Value>,
}

/// A request's body: `{"events": [...]}`. Each is read by itself, by [`Event::read`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub events: Vec<Value>,
}

impl Event {
    /// Reads and checks one event.
    ///
    /// # Errors
    ///
    /// A [`WireError`] that says what is wrong with it; its verdict is `rejected`.
    pub fn read(value: &Value) -> Result<Event, WireError> {
        let raw = Raw::deserialize(value)
            .map_err(|error| WireError::Unreadable { what: "event", reason: error.to_string() })?;
        let event = Event {
            event_id: raw.event_id,
            epoch: raw.epoch,
            seq: raw.seq,
            job: raw.job,
            fact: Fact::read(&raw.kind, raw.payload)?,
            event_at: raw.event_at,
            boot_id: raw.boot_id,
            mono_ms: raw.mono_ms,
            skew_ms: raw.skew_ms,
        };
        event.check()?;
        Ok(event)
    }

    /// The event in JSON.
    pub fn write(&self) -> Value {
        let raw = Raw {
            event_id: self.event_id,
            epoch: self.epoch,
            seq: self.seq,
            job: self.job,
            kind: self.fact.kind().to_owned(),
            event_at: self.event_at,
            boot_id: self.boot_id.clone(),
            mono_ms: self.mono_ms,
            skew_ms: self.skew_ms,
            payload: Some(self.fact.payload()),
        };
        serde_json::to_value(raw).expect("an event has text keys only")
    }

    /// The id of an event that may be unreadable otherwise, for its verdict.
    pub fn id_of(value: &Value) -> Option<EventId> {
        value.get("event_id")?.as_str()?.parse().ok()
    }

    /// Looks at the values.
    ///
    /// # Errors
    ///
    /// [`WireError::Invalid`] with the first field that cannot be.
    pub fn check(&self) -> Result<(), WireError> {
        if self.epoch < 0 {
            return Err(invalid("epoch", "is negative"));
        }
        if self.seq < 0 {
            return Err(invalid("seq", "is negative"));
        }
        if self.job.is_none() && self.fact.needs_job() {
            return Err(invalid("job", "is missing"));
        }
        if self.boot_id.as_ref().is_some_and(|boot| boot.len() > NAME_BYTES) {
            return Err(invalid("boot_id", format!("is longer than {NAME_BYTES} bytes")));
        }
        moment("event_at", self.event_at)?;
        self.fact.check()
    }
}

/// The digest by which two events are told to be the same: SHA-256 over the JSON with sorted keys and without spaces, so
/// that neither the order of keys nor their layout matters.
pub fn digest(value: &Value) -> [u8; 32] {
    Sha256::digest(value.to_string().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::super::fact::{Finished, Opened, Progress, Record, Slot, Step};
    use super::super::id::RecordId;
    use super::super::state::{Ended, Reason, StepState};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn example() -> Value {
        json!({
            "event_id": "01980000-0000-7000-8000-000000000001", "epoch": 3, "seq": 41,
            "job": "01980000-0000-7000-8000-000000000002", "kind": "step.finished",
            "event_at": "2026-11-22T03:04:05.678Z", "boot_id": "b", "mono_ms": 8_123_456,
            "payload": {"step": "backup", "state": "succeeded", "exit_code": 0, "bytes_added": 1_048_576}
        })
    }

    fn facts() -> impl Strategy<Value = Fact> {
        let words = || proptest::option::of("[a-zß 漢]{0,20}");
        let count = || proptest::option::of(0_u64..=i64::MAX as u64);
        let moment =
            || (0_i64..4_000_000_000).prop_map(|second| DateTime::from_timestamp(second, 0).unwrap());
        prop_oneof![
            ("[a-z]{1,9}", words(), proptest::option::of(moment()), 1_u32..9).prop_map(
                |(group, _, slot, attempt)| {
                    Fact::JobOpened(Opened {
                        source_group: group,
                        schedule: None,
                        slot_at: slot,
                        reason: Some(Reason::Cron),
                        attempt: Some(attempt),
                        repository: Some("r".to_owned()),
                    })
                }
            ),
            Just(Fact::JobStarted),
            (count(), count(), count()).prop_map(|(bytes_done, bytes_total, files_done)| {
                Fact::JobProgress(Progress { bytes_done, bytes_total, files_done })
            }),
            ("[a-z/]{1,9}", words(), any::<bool>(), proptest::option::of(any::<i32>())).prop_map(
                |(step, log_tail, ends, exit_code)| {
                    let state = Some(if ends { StepState::Warned } else { StepState::Running });
                    let step = Step { step, state, exit_code, log_tail, reason: None, bytes_added: Some(1) };
                    if ends { Fact::StepFinished(step) } else { Fact::StepStarted(step) }
                }
            ),
            (count(), any::<bool>()).prop_map(|(bytes_total, published)| {
                let record = RecordId::fresh();
                let sha256 = Some("0f".repeat(32));
                let record = Record { record, snapshot: None, bytes_total, bytes_added: None, sha256 };
                if published { Fact::RecordPublished(record) } else { Fact::RecordUnderway(record) }
            }),
            (proptest::sample::select(Ended::ALL), words(), count()).prop_map(|(state, error, files)| {
                Fact::JobFinished(Finished {
                    state,
                    error_class: None,
                    error,
                    bytes_total: None,
                    bytes_added: None,
                    files,
                })
            }),
            ("[a-z]{1,9}", moment(), words()).prop_map(|(group, slot_at, why)| {
                Fact::SlotMissed(Slot { source_group: group.clone(), schedule: group, slot_at, why })
            }),
        ]
    }

    proptest! {
        #[test]
        fn an_event_reads_as_it_was_written(fact in facts(), epoch in 0_i64.., seq in 0_i64.., mono in proptest::option::of(any::<i64>())) {
            let event = Event {
                event_id: EventId::fresh(), epoch, seq, job: Some(JobId::fresh()), fact,
                event_at: DateTime::from_timestamp_millis(1_764_000_000_123).unwrap(),
                boot_id: Some("boot".to_owned()), mono_ms: mono, skew_ms: None,
            };
            prop_assert_eq!(Event::read(&event.write()), Ok(event));
        }

        #[test]
        fn no_json_makes_reading_panic(kind in "[a-z.]{0,12}", number in any::<i64>(), words in "\\PC{0,9}") {
            let mut value = example();
            value["kind"] = json!(kind);
            value["seq"] = json!(number);
            value["payload"] = json!({"step": words, "state": words, "bytes_added": number});
            let _ = Event::read(&value);
        }
    }

    #[test]
    fn the_example_of_the_contract_is_read() {
        let event = Event::read(&example()).unwrap();
        assert_eq!(event.seq, 41);
        assert!(matches!(&event.fact, Fact::StepFinished(step) if step.bytes_added == Some(1_048_576)));
        let mut bare = example();
        bare["kind"] = json!("job.started");
        for payload in [json!(null), json!({}), json!({"anything": 1})] {
            bare["payload"] = payload;
            assert_eq!(Event::read(&bare).unwrap().fact, Fact::JobStarted);
        }
        bare.as_object_mut().unwrap().remove("payload");
        assert_eq!(Event::read(&bare).unwrap().fact, Fact::JobStarted);
    }

    #[test]
    fn every_impossible_value_is_refused_by_name() {
        let refused = |field: &str, value: Value| {
            let mut event = example();
            match field.split_once('.') {
                Some((_, inner)) => event["payload"][inner] = value,
                None => event[field] = value,
            }
            Event::read(&event).unwrap_err().to_string()
        };
        assert_eq!(refused("seq", json!(-1)), "seq is negative");
        assert_eq!(refused("epoch", json!(-1)), "epoch is negative");
        assert_eq!(refused("job", json!(null)), "job is missing");
        assert_eq!(refused("kind", json!("job.paused")), "kind \"job.paused\" is not known");
        assert_eq!(refused("payload.step", json!("")), "step is missing");
        assert_eq!(refused("payload.state", json!("running")), "state \"running\" is no end of a step");
        assert_eq!(refused("payload.bytes_added", json!(u64::MAX)), "bytes_added is too large");
        assert!(
            refused("payload.log_tail", json!("x".repeat(65_537))).starts_with("log_tail has 65537 bytes")
        );
        assert!(refused("event_id", json!("../../etc/passwd")).starts_with("event cannot be read"));
        assert!(refused("event_at", json!("+12026-01-01T00:00:00Z")).starts_with("event"));
        let mut slot = example();
        slot["kind"] = json!("slot.missed");
        slot["job"] = json!(null);
        slot["payload"] =
            json!({"source_group": "home", "schedule": "nightly", "slot_at": "2026-11-22T03:00:00+09:00"});
        assert!(Event::read(&slot).is_ok());
    }

    #[test]
    fn a_nul_is_replaced_and_costs_nothing() {
        let mut value = example();
        value["payload"]["log_tail"] = json!("a\0b");
        let Fact::StepFinished(step) = Event::read(&value).unwrap().fact else { panic!("another kind") };
        assert_eq!(step.log_tail.as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    fn the_digest_knows_no_order_of_keys() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).unwrap();
        assert_eq!(digest(&one), digest(&two));
        assert_ne!(digest(&one), digest(&json!({"a": 1})));
    }
}
