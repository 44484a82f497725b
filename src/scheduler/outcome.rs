//! How a run ended.

use serde_json::Value;

/// What a run says of itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It went well; with what it has to say, `Null` for nothing.
    Done(Value),
    Failed(String),
    /// The connection broke under it: counted apart from failures, since the job may be innocent.
    Crashed(String),
    /// It was stopped by a shutdown and gives its attempt back.
    Stopped,
    /// The run has recorded its end itself, in its own transaction.
    Recorded,
    /// The lease was lost: this run may not say anything.
    Lost,
}

impl Outcome {
    /// The word that `scheduler/finish` takes; `None` when there is nothing left to record.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Outcome::Done(_) => Some("done"),
            Outcome::Failed(_) => Some("failed"),
            Outcome::Crashed(_) => Some("crashed"),
            Outcome::Stopped => Some("stopped"),
            Outcome::Recorded | Outcome::Lost => None,
        }
    }

    /// The word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Recorded => "done",
            Outcome::Lost => "lost",
            other => other.word().unwrap_or_default(),
        }
    }
}
