//! What can go wrong in this wing.

use chrono::{DateTime, Utc};

use crate::db::DbError;
use crate::ground::cron::CronError;
use crate::ground::exit::Exit;

/// An error of the job wing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("there is no host \"{host}\"; see \"highwater hosts list\"")]
    UnknownHost { host: String },
    #[error("several tenants have a host \"{host}\"; add --tenant, or give its id")]
    AmbiguousHost { host: String },
    #[error("host {host} has no group \"{group}\"; see \"highwater groups list\"")]
    UnknownGroup { host: String, group: String },
    #[error("there is no schedule \"{schedule}\"; see \"highwater schedules list\"")]
    UnknownSchedule { schedule: String },
    #[error(
        "schedule {schedule} was edited meanwhile; look at it with \"highwater schedules show\" and try again"
    )]
    EditedMeanwhile { schedule: String },
    /// A fire for a time at which its schedule has no slot, or for one that has not come.
    #[error("{slot_at} is no slot of schedule {schedule} that has come; fetch the config again")]
    NotASlot { schedule: String, slot_at: DateTime<Utc> },
    /// The schedule, the group or their bond is not this host's, or no longer.
    #[error("schedule {schedule} is not one of this host and group; fetch the config again")]
    NotOfHost { schedule: String },
    #[error("there is no {what} \"{name}\"{}; see \"highwater {list}\"", of(.within.as_deref()))]
    Unknown { what: &'static str, name: String, within: Option<String>, list: &'static str },
    #[error("{what} \"{name}\" may mean {}; {remedy}", .candidates.join(" or "))]
    Ambiguous { what: &'static str, name: String, candidates: Vec<String>, remedy: &'static str },
    #[error("{what} \"{name}\" exists already{}; {remedy}", of(.within.as_deref()))]
    Exists { what: &'static str, name: String, within: Option<String>, remedy: String },
    /// The row was changed since it was read.
    #[error("{what} \"{name}\" is at revision {found}, not {wanted}; read it again and repeat the change")]
    Changed { what: &'static str, name: String, wanted: i64, found: i64 },
    /// The schema holds a word that this build does not know.
    #[error("{what} \"{word}\" is not known to this build; use a newer highwater")]
    UnknownWord { what: &'static str, word: String },
    #[error("channel {channel} was not told: {reason}")]
    Untold { channel: String, reason: String },
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Cron(#[from] CronError),
    #[error(transparent)]
    Db(#[from] DbError),
}

fn of(within: Option<&str>) -> String {
    within.map_or_else(String::new, |within| format!(" of {within}"))
}

impl JobError {
    /// The exit code of a command that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            JobError::UnknownHost { .. }
            | JobError::AmbiguousHost { .. }
            | JobError::UnknownGroup { .. }
            | JobError::UnknownSchedule { .. }
            | JobError::EditedMeanwhile { .. }
            | JobError::NotASlot { .. }
            | JobError::NotOfHost { .. }
            | JobError::Unknown { .. }
            | JobError::Ambiguous { .. }
            | JobError::Exists { .. }
            | JobError::Changed { .. }
            | JobError::Invalid(_)
            | JobError::Cron(_) => Exit::Usage,
            JobError::UnknownWord { .. } => Exit::Pending,
            JobError::Untold { .. } => Exit::Unexpected,
            JobError::Db(error) => error.exit(),
        }
    }
}
