//! What is to be put into the outbox, before it has its place there.

use chrono::{DateTime, Utc};

use super::bounds::Class;
use super::entry::Request;
use crate::ground::wire::fact::Fact;
use crate::ground::wire::id::JobId;

/// When and by which clocks something happened.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub event_at: DateTime<Utc>,
    pub boot_id: String,
    pub mono_ms: i64,
    pub skew_ms: Option<i64>,
}

/// Something to be told to the server.
#[derive(Debug, Clone)]
pub enum Draft {
    Event {
        job: Option<JobId>,
        fact: Fact,
    },
    /// Any request that may wait. Those of one lane, and events of the job with that id, go in order.
    Request {
        request: Request,
        body: String,
        lane: Option<String>,
        class: Class,
    },
}

impl Draft {
    /// What becomes of it when the outbox is full.
    pub(super) fn class(&self) -> Class {
        match self {
            Draft::Event { fact, .. } => Class::of(fact),
            Draft::Request { class, .. } => *class,
        }
    }
}
