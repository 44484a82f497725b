//! States of this wing's rows. `docs/DATA_MODEL.md` has the tables; a test compares both with the CHECKs in the database.
//!
//! A job moves in a lattice of ranks: what has the higher rank stays, whatever arrives later.

use serde::{Deserialize, Serialize};

use crate::ground::wire::state::{Ended, words};

words!(
    /// Where a host stands.
    HostState { Enrolling = "enrolling", Online = "online", Offline = "offline", Retired = "retired" }
);

words!(
    /// Where an owed run stands.
    RunState {
        Waiting = "waiting",
        Claimed = "claimed",
        Dispatched = "dispatched",
        Abandoned = "abandoned",
        Superseded = "superseded",
        Expired = "expired",
    }
);

words!(
    /// What became of an expected slot; in rising order, of two reports the higher one holds.
    How { Missed = "missed", Skipped = "skipped", Covered = "covered", Ran = "ran" }
);

words!(
    /// Where a job stands; in rising order of rank and, among reported ends, of what decides a conflict: an end that was
    /// seen outranks one that was concluded after a crash.
    JobState {
        Queued = "queued",
        Dispatched = "dispatched",
        Running = "running",
        /// Its lease ran out; derived, and taken back by a renewed lease.
        Lost = "lost",
        Missed = "missed",
        Skipped = "skipped",
        Interrupted = "interrupted",
        Cancelled = "cancelled",
        TimedOut = "timed_out",
        Failed = "failed",
        Warned = "warned",
        Succeeded = "succeeded",
    }
);

impl JobState {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        match self {
            JobState::Queued | JobState::Dispatched | JobState::Running | JobState::Lost => false,
            JobState::Missed
            | JobState::Skipped
            | JobState::Interrupted
            | JobState::Cancelled
            | JobState::TimedOut
            | JobState::Failed
            | JobState::Warned
            | JobState::Succeeded => true,
        }
    }
}

impl From<Ended> for JobState {
    fn from(ended: Ended) -> JobState {
        match ended {
            Ended::Succeeded => JobState::Succeeded,
            Ended::Warned => JobState::Warned,
            Ended::Failed => JobState::Failed,
            Ended::Cancelled => JobState::Cancelled,
            Ended::TimedOut => JobState::TimedOut,
            Ended::Interrupted => JobState::Interrupted,
            Ended::Skipped => JobState::Skipped,
        }
    }
}

words!(
    /// Where a record stands; in rising order, reports move it up to `complete` and never back.
    RecordState {
        Underway = "underway",
        Failed = "failed",
        Complete = "complete",
        Pruning = "pruning",
        Pruned = "pruned",
        Missing = "missing",
        Corrupt = "corrupt",
    }
);

words!(
    /// Where an alarm stands.
    AlarmState { Raised = "raised", Acknowledged = "acknowledged", Resolved = "resolved" }
);

words!(
    /// Where the telling of an alarm stands.
    DeliveryState { Waiting = "waiting", Delivered = "delivered", Failed = "failed" }
);
