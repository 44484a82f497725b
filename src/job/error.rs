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
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Cron(#[from] CronError),
    #[error(transparent)]
    Db(#[from] DbError),
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
            | JobError::Invalid(_)
            | JobError::Cron(_) => Exit::Usage,
            JobError::Db(error) => error.exit(),
        }
    }
}
