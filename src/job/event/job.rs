//! A job as its reports make it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::stamp::{Place, Rank, Stamp, wins};
use crate::ground::wire::fact::{Finished, Progress};
use crate::ground::wire::id::JobId;
use crate::ground::wire::state::Reason;
use crate::job::state::JobState;

/// What a report did to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It adds nothing newer.
    Stale,
    Applied,
    /// It contradicts what is there.
    Conflict,
}

impl Effect {
    pub(super) fn of(is_applied: bool) -> Effect {
        if is_applied { Effect::Applied } else { Effect::Stale }
    }
}

/// Who a job is for, by ids; resolved from what `job.opened` names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    pub source_group: Option<Uuid>,
    pub repository: Option<Uuid>,
    pub schedule: Option<Uuid>,
    pub slot_at: Option<DateTime<Utc>>,
    pub reason: Option<Reason>,
    pub attempt: i32,
}

/// The columns of a job that reports fill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    pub id: JobId,
    pub source_group: Option<Uuid>,
    pub repository: Option<Uuid>,
    pub schedule: Option<Uuid>,
    pub slot_at: Option<DateTime<Utc>>,
    pub reason: Option<Reason>,
    pub attempt: i32,
    pub state: JobState,
    pub is_inferred: bool,
    pub has_conflict: bool,
    pub error_class: Option<String>,
    pub error: Option<String>,
    pub opened_at: DateTime<Utc>,
    pub queued_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub reported_at: Option<DateTime<Utc>>,
    pub bytes_total: Option<i64>,
    pub bytes_added: Option<i64>,
    pub files: Option<i64>,
    pub progress_bytes: Option<i64>,
    pub progress_total_bytes: Option<i64>,
    pub progress_files: Option<i64>,
    pub progress_at: Option<DateTime<Utc>>,
    pub opened_by: Option<Stamp>,
    pub started_by: Option<Stamp>,
    /// Epoch and sequence number: unlike all else, of progress the newest wins.
    pub progress_by: Option<[i64; 2]>,
    pub ended_by: Option<Stamp>,
    /// The server made it and knows best who it is for; unlike a job that its host began and that answers an owed run.
    #[serde(skip)]
    pub is_ours: bool,
}

impl Job {
    /// A job that nobody has heard of before a report at `at`.
    pub fn unheard(id: JobId, at: DateTime<Utc>) -> Job {
        Job {
            id,
            source_group: None,
            repository: None,
            schedule: None,
            slot_at: None,
            reason: None,
            attempt: 1,
            state: JobState::Queued,
            is_inferred: false,
            has_conflict: false,
            error_class: None,
            error: None,
            opened_at: at,
            queued_at: None,
            started_at: None,
            finished_at: None,
            reported_at: None,
            bytes_total: None,
            bytes_added: None,
            files: None,
            progress_bytes: None,
            progress_total_bytes: None,
            progress_files: None,
            progress_at: None,
            opened_by: None,
            started_by: None,
            progress_by: None,
            ended_by: None,
            is_ours: false,
        }
    }

    /// Widens the span of what its reports carry.
    pub fn hear(&mut self, at: DateTime<Utc>) {
        if !self.is_ours {
            self.opened_at = self.opened_at.min(at);
        }
        self.reported_at = Some(self.reported_at.map_or(at, |known| known.max(at)));
    }

    /// `job.opened`.
    pub fn open(&mut self, identity: Identity, at: DateTime<Utc>, place: Place) -> Effect {
        let has_risen = self.rise(JobState::Dispatched);
        if self.is_ours || !wins(&mut self.opened_by, Stamp::new(Rank::Dispatched, 0, place)) {
            return Effect::of(has_risen);
        }
        let Identity { source_group, repository, schedule, slot_at, reason, attempt } = identity;
        self.source_group = source_group;
        self.repository = repository;
        self.schedule = schedule;
        // A run by hand has no slot; it counts at the moment at which it was asked for.
        self.slot_at = Some(slot_at.unwrap_or(at));
        self.reason = reason;
        self.attempt = attempt;
        self.queued_at = Some(at);
        Effect::Applied
    }

    /// `job.started`.
    pub fn start(&mut self, at: DateTime<Utc>, place: Place) -> Effect {
        let has_risen = self.rise(JobState::Running);
        let is_first = wins(&mut self.started_by, Stamp::new(Rank::Running, 0, place));
        if is_first {
            self.started_at = Some(at);
        }
        Effect::of(has_risen || is_first)
    }

    /// `job.progress`.
    pub fn progress(&mut self, progress: Progress, at: DateTime<Utc>, place: Place) -> Effect {
        let has_risen = self.rise(JobState::Running);
        let by = [place.epoch, place.seq];
        let is_newer = self.progress_by.is_none_or(|known| by > known);
        if is_newer {
            self.progress_by = Some(by);
            self.progress_bytes = number(progress.bytes_done);
            self.progress_total_bytes = number(progress.bytes_total);
            self.progress_files = number(progress.files_done);
            self.progress_at = Some(at);
        }
        Effect::of(has_risen || is_newer)
    }

    /// Any other report of a run says that it runs.
    pub fn runs(&mut self) -> bool {
        self.rise(JobState::Running)
    }

    /// `job.finished`.
    pub fn finish(&mut self, finished: &Finished, at: DateTime<Utc>, place: Place) -> Effect {
        let state = JobState::from(finished.state);
        let is_contradiction =
            self.ended_by.is_some_and(|known| known.is_reported_end()) && self.state != state;
        let is_greatest = wins(&mut self.ended_by, Stamp::new(Rank::Reported, state as i64, place));
        if is_greatest {
            self.state = state;
            self.is_inferred = false;
            self.finished_at = Some(at);
            self.error_class.clone_from(&finished.error_class);
            self.error.clone_from(&finished.error);
            self.bytes_total = number(finished.bytes_total);
            self.bytes_added = number(finished.bytes_added);
            self.files = number(finished.files);
        }
        if is_contradiction {
            self.has_conflict = true;
            return Effect::Conflict;
        }
        Effect::of(is_greatest)
    }

    /// Moves an open job up, never down, and never out of its end.
    fn rise(&mut self, state: JobState) -> bool {
        let is_higher = self.ended_by.is_none() && state > self.state;
        if is_higher {
            self.state = state;
        }
        is_higher
    }
}

/// A count as the database keeps it; reading has refused those that do not fit.
pub(super) fn number(count: Option<u64>) -> Option<i64> {
    count.and_then(|count| i64::try_from(count).ok())
}
