//! What can go wrong with jobs and plans.

use crate::db::DbError;
use crate::ground::exit::Exit;
use crate::rollup::RollupError;

/// An error of the scheduler wing.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    #[error("there is no job \"{name}\"; see \"highwater job list\"")]
    UnknownJob { name: String },
    #[error("job \"{name}\" exists already; \"highwater job drop {name}\" removes it")]
    JobExists { name: String },
    #[error(
        "job \"{name}\" exists already as {owner}; give it another name, or \"highwater job drop {name}\""
    )]
    JobTaken { name: String, owner: String },
    /// A run may not write any more; nothing of its transaction stays.
    #[error("the lease of this run is lost; nothing of its transaction was written")]
    LeaseLost,
    #[error("job \"{name}\" is built in and cannot be dropped; \"highwater job pause {name}\" stops it")]
    BuiltIn { name: String },
    #[error("job \"{job}\" has no scope \"{scope}\"; see \"highwater rollup list\"")]
    UnknownScope { job: String, scope: String },
    #[error("there is no plan {run_id}; it may have been pruned, see \"highwater plans list\"")]
    UnknownPlan { run_id: i64 },
    #[error("there is no function {function}() or {function}(timestamptz) in this database")]
    UnknownFunction { function: String },
    #[error("{0}")]
    Invalid(String),
    /// The ledger holds a word that this build does not know.
    #[error("the ledger says {what} \"{word}\", which this build does not know; use a newer highwater")]
    UnknownWord { what: &'static str, word: String },
    #[error(transparent)]
    Rollup(#[from] RollupError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl SchedulerError {
    /// The exit code of a command that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            SchedulerError::UnknownJob { .. }
            | SchedulerError::JobExists { .. }
            | SchedulerError::JobTaken { .. }
            | SchedulerError::BuiltIn { .. }
            | SchedulerError::UnknownScope { .. }
            | SchedulerError::UnknownPlan { .. }
            | SchedulerError::UnknownFunction { .. }
            | SchedulerError::Invalid(_) => Exit::Usage,
            SchedulerError::UnknownWord { .. } => Exit::Pending,
            SchedulerError::LeaseLost => Exit::LockLost,
            SchedulerError::Rollup(error) => error.exit(),
            SchedulerError::Db(error) => error.exit(),
        }
    }
}
