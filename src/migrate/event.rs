//! What a run tells while it works. With `--format json` each event is one line.

use std::time::Duration;

use serde::Serialize;

use super::scope::Scope;

/// One thing that happened. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Another run, or what a killed one left behind, holds the lock; told once for each holder.
    Waiting { holder: String },
    /// The lock is ours.
    Locked { waited_ms: u64 },
    /// Work before a migration begins.
    HookStarted { scope: Scope, version: i64, hook: String, rows_left: Option<u64>, eta_ms: Option<u64> },
    /// Work before a migration goes on.
    HookProgress {
        scope: Scope,
        version: i64,
        hook: String,
        #[serde(flatten)]
        progress: Progress,
    },
    /// Something that a person should know about work before a migration, such as what it waits for.
    HookNote { scope: Scope, version: i64, hook: String, note: String },
    /// Work before a migration is done and verified.
    HookFinished { scope: Scope, version: i64, hook: String, duration_ms: u64 },
    /// A lock was not to be had, or a deadlock was ours to resolve: the migration is tried again.
    Retry { scope: Scope, version: i64, attempt: u32, of: u32, pause_ms: u64, reason: String },
    /// What a failed concurrent build left behind was dropped.
    InvalidIndexDropped { version: i64, index: String },
    /// The index was there already, valid and as the file defines it.
    IndexKept { version: i64, index: String },
    /// The migration and its history row are committed.
    Applied { scope: Scope, version: i64, name: String, duration_ms: u64 },
    /// The functions of an installed rollup are those of this build now.
    RollupRenewed { rollup: String },
    /// The functions of an installed rollup were left as they are.
    RollupLeft { rollup: String, reason: String },
    /// The run is over, and all that was asked for is applied.
    Finished { applied: usize, duration_ms: u64 },
}

/// How far a hook has come; what is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    pub slices_done: u64,
    pub slices_total: Option<u64>,
    pub rows_done: Option<u64>,
    pub rows_total: Option<u64>,
    pub rows_per_second: Option<f64>,
    pub eta_ms: Option<u64>,
    /// A word on where it is, such as the month being filled.
    pub note: Option<String>,
}

/// Takes the events of a run, in order. It must not block.
pub trait Observer: Send + Sync {
    fn observe(&self, event: &Event);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _event: &Event) {}
}

/// Whole milliseconds of a duration.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
