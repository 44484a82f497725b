//! The exit codes: a contract with scripts. `docs/EXIT_CODES.md` says when each is given and what to do.

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// Something that has no code of its own: the server is down, a disk is full, a bug. For `status`: warning.
    Unexpected = 1,
    /// Bad flags, bad file, unknown name. For `status`: critical.
    Usage = 2,
    /// Migrations are pending, or this build and the schema do not fit.
    Pending = 3,
    /// A migration file or a rollup differs from what was recorded or from its source.
    Drift = 4,
    /// Someone else holds the lock; they are named.
    LockBusy = 5,
    /// A pre-migration hook failed; its migration did not run and its progress is kept.
    HookFailed = 6,
    /// A statement failed; nothing of its transaction stays.
    SqlFailed = 7,
    /// The connection cannot hold a session lock: a transaction pooler, or a read replica.
    UnsafeConnection = 8,
    /// The run's lock was lost while it worked; it stopped before writing more.
    LockLost = 9,
    /// The guard refused: a rollup is not complete or not current.
    GuardRefused = 10,
    /// Stopped on purpose before the end (`--max-duration`); the same command goes on from here.
    Paused = 11,
    /// SIGINT or SIGTERM; the same command goes on from here.
    Interrupted = 130,
}

impl Exit {
    pub const ALL: [Exit; 13] = [
        Exit::Done,
        Exit::Unexpected,
        Exit::Usage,
        Exit::Pending,
        Exit::Drift,
        Exit::LockBusy,
        Exit::HookFailed,
        Exit::SqlFailed,
        Exit::UnsafeConnection,
        Exit::LockLost,
        Exit::GuardRefused,
        Exit::Paused,
        Exit::Interrupted,
    ];

    pub fn code(self) -> u8 {
        self as u8
    }
}
