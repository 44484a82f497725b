//! States as hosts report them. The server's jobs have more (`queued`, `lost`, ...), which no host may report.

use serde::{Deserialize, Serialize};

/// Makes an enum of words: in JSON, in the database and in Rust the same.
macro_rules! words {
    ($(#[$words:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$words])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$note])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word on the wire and in the database.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }

            /// Reads a word; none if it is not one of these.
            pub fn read(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.word() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words!(
    /// How a host says that a job ended. `skipped` is one too: a pre-hook may say that there is nothing to do.
    Ended {
        Succeeded = "succeeded",
        /// The archive is good; something beside it is not.
        Warned = "warned",
        Failed = "failed",
        Cancelled = "cancelled",
        TimedOut = "timed_out",
        /// The host was shut down, or the agent died, in the middle.
        Interrupted = "interrupted",
        Skipped = "skipped",
    }
);

words!(
    /// Where a step stands.
    StepState {
        Pending = "pending",
        Running = "running",
        Succeeded = "succeeded",
        Warned = "warned",
        Failed = "failed",
        /// Never ran, with a reason.
        Skipped = "skipped",
    }
);

impl StepState {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        match self {
            StepState::Pending | StepState::Running => false,
            StepState::Succeeded | StepState::Warned | StepState::Failed | StepState::Skipped => true,
        }
    }
}

words!(
    /// Why a run exists.
    Reason { Cron = "cron", Catchup = "catchup", Manual = "manual", Retry = "retry" }
);

words!(
    /// What an attempt does.
    JobKind { Backup = "backup", Prune = "prune", Verify = "verify", Restore = "restore" }
);

words!(
    /// Classes of errors, for counting and for the choice of a remedy.
    ErrorClass {
        /// The program or directory that is backed up failed.
        Source = "source",
        /// The repository could not be reached or written.
        Destination = "destination",
        Hook = "hook",
        /// A gate, a mount or a flag stood in the way.
        Check = "check",
        Timeout = "timeout",
        Cancelled = "cancelled",
        /// The lease was lost, so another attempt may be under way.
        Lease = "lease",
        /// What is configured cannot work.
        Config = "config",
        Internal = "internal",
    }
);
