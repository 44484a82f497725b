//! A record as its reports make it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::job::{Effect, Job, number};
use super::stamp::{Place, Rank, Stamp, wins};
use crate::ground::wire::fact;
use crate::ground::wire::id::{JobId, RecordId};
use crate::job::state::{JobState, RecordState};

/// The columns of a record that reports fill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    pub id: RecordId,
    pub job: JobId,
    pub repository: Option<Uuid>,
    pub source_group: Option<Uuid>,
    pub state: RecordState,
    pub has_conflict: bool,
    pub snapshot: Option<String>,
    pub bytes_total: Option<i64>,
    pub bytes_added: Option<i64>,
    pub sha256: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub started_by: Option<Stamp>,
    pub ended_by: Option<Stamp>,
}

impl Record {
    /// A record that nobody has heard of.
    pub fn unheard(id: RecordId, job: JobId) -> Record {
        Record {
            id,
            job,
            repository: None,
            source_group: None,
            state: RecordState::Underway,
            has_conflict: false,
            snapshot: None,
            bytes_total: None,
            bytes_added: None,
            sha256: None,
            started_at: None,
            finished_at: None,
            started_by: None,
            ended_by: None,
        }
    }

    /// `record.underway`.
    pub fn begin(&mut self, at: DateTime<Utc>, place: Place) -> Effect {
        let is_first = wins(&mut self.started_by, Stamp::new(Rank::Running, 0, place));
        if is_first {
            self.started_at = Some(at);
        }
        Effect::of(is_first)
    }

    /// `record.published`. Equal digests agree; different ones are a conflict.
    pub fn publish(&mut self, record: &fact::Record, at: DateTime<Utc>, place: Place) -> Effect {
        let is_contradiction = self.ended_by.is_some() && self.sha256 != record.sha256;
        let is_greatest = wins(&mut self.ended_by, Stamp::new(Rank::Reported, 0, place));
        if is_greatest {
            self.finished_at = Some(at);
            self.snapshot.clone_from(&record.snapshot);
            self.bytes_total = number(record.bytes_total);
            self.bytes_added = number(record.bytes_added);
            self.sha256.clone_from(&record.sha256);
        }
        self.state = self.state.max(RecordState::Complete);
        if is_contradiction {
            self.has_conflict = true;
            return Effect::Conflict;
        }
        Effect::of(is_greatest)
    }

    /// Takes over what its job says: whose it is, and that nothing will come of it any more.
    pub fn follow(&mut self, job: &Job) {
        self.repository = job.repository;
        self.source_group = job.source_group;
        let is_hopeless = match job.state {
            JobState::Queued | JobState::Dispatched | JobState::Running | JobState::Lost => false,
            // There is an archive; the report of its publication is on its way.
            JobState::Succeeded | JobState::Warned => false,
            JobState::Missed
            | JobState::Skipped
            | JobState::Interrupted
            | JobState::Cancelled
            | JobState::TimedOut
            | JobState::Failed => true,
        };
        match (self.state, is_hopeless) {
            (RecordState::Underway, true) => self.state = RecordState::Failed,
            // A reported end has overruled one that was inferred.
            (RecordState::Failed, false) => self.state = RecordState::Underway,
            (
                RecordState::Underway
                | RecordState::Failed
                | RecordState::Complete
                | RecordState::Pruning
                | RecordState::Pruned
                | RecordState::Missing
                | RecordState::Corrupt,
                _,
            ) => {}
        }
    }
}
