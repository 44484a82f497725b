//! What a caller hears of, and may say to, work that goes slice by slice.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::RollupError;
use super::lock::Exclusive;
use super::name::RollupName;
use super::throttle::Reason;
use crate::ground::month::Month;

/// News of a backfill or a proof, in the order in which things happened.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// Another backfill or alter of this rollup runs; waiting for it.
    Waiting { rollup: RollupName, work: Exclusive, holder: String },
    /// Something that a person should know, such as what the work waits for.
    Note { rollup: RollupName, note: String },
    /// The months that have rows are being counted.
    Counting { rollup: RollupName },
    /// Work begins: this many slices, with about this many rows of the source.
    Began { rollup: RollupName, work: Work, slices: usize, source_rows: i64 },
    /// A slice is done.
    Slice { rollup: RollupName, work: Work, month: Month, source_rows: i64, rows: i64, took: Duration },
    /// A part of a month that is too large for one transaction is filled; `to` is where the next one begins.
    Part { rollup: RollupName, month: Month, to: DateTime<Utc>, rows: i64, took: Duration },
    /// A slice failed in a way that may pass; it is tried again.
    Retry { rollup: RollupName, month: Month, reason: String },
    /// The database has other worries: the work goes slower, or waits.
    Throttled { rollup: RollupName, reason: Reason, is_waiting: bool },
    /// Someone else is writing this slice; waiting for it at the end.
    Held { rollup: RollupName, month: Month },
    /// Asked to stop; slices in hand are finished first.
    Stopping { rollup: RollupName },
    /// Work ended, whole or not.
    Ended { rollup: RollupName, work: Work },
}

/// Which work the news is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Backfill,
    Verify,
}

/// Hears the news. Called from several tasks, never for long.
pub trait Listener: Send + Sync {
    fn hear(&self, news: News);
}

/// A listener that hears nothing.
pub struct Silent;

impl Listener for Silent {
    fn hear(&self, _news: News) {}
}

/// Asked between slices whether the work may go on; a lost lock says no.
pub trait Fence: Send + Sync {
    /// # Errors
    ///
    /// [`RollupError::LockLost`], or what kept the fence from finding out.
    fn check(&self) -> futures_util::future::BoxFuture<'_, Result<(), RollupError>>;
}

/// The fence of work that holds no lock beyond its own.
pub struct Open;

impl Fence for Open {
    fn check(&self) -> futures_util::future::BoxFuture<'_, Result<(), RollupError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
