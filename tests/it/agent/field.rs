//! What tests of the agent share.

use chrono::{DateTime, TimeDelta, Utc};
use highwater::agent::outbox::{Draft, Stamp};
use highwater::ground::wire::fact::{Fact, Finished, Progress, Step};
use highwater::ground::wire::id::JobId;
use highwater::ground::wire::state::{Ended, StepState};

/// A moment that no test is run at.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_764_072_000, 0).unwrap()
}

pub fn stamp(seconds: i64) -> Stamp {
    Stamp {
        event_at: noon() + TimeDelta::seconds(seconds),
        boot_id: "boot".to_owned(),
        mono_ms: seconds * 1_000,
        skew_ms: None,
    }
}

pub fn event(job: JobId, fact: Fact) -> Draft {
    Draft::Event { job: Some(job), fact }
}

pub fn started() -> Fact {
    Fact::JobStarted
}

pub fn progress(bytes: u64) -> Fact {
    Fact::JobProgress(Progress { bytes_done: Some(bytes), bytes_total: None, files_done: None })
}

pub fn finished() -> Fact {
    Fact::JobFinished(Finished {
        state: Ended::Succeeded,
        error_class: None,
        error: None,
        bytes_total: Some(1),
        bytes_added: Some(1),
        files: None,
    })
}

/// A step whose log makes the entry about `bytes` large.
pub fn step_with_log(bytes: usize) -> Fact {
    Fact::StepFinished(Step {
        step: "backup".to_owned(),
        state: Some(StepState::Succeeded),
        exit_code: Some(0),
        log_tail: Some("x".repeat(bytes)),
        reason: None,
        bytes_added: None,
    })
}
