//! Long statements that end when a signal comes.

use tracing::warn;

use super::error::RollupError;
use crate::db::{DbError, Session};
use crate::ground::shutdown::{Shutdown, Urgency};

/// How long after a cancel the next one follows.
const CANCEL_AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs `work`, whose statements run on `session`; a signal cancels the one that is running, which rolls it back.
///
/// `None`: it was cancelled. Only for work that may be cut off at any statement.
///
/// # Errors
///
/// Those of `work`.
pub(super) async fn unless_stopped<T>(
    session: &Session,
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T, RollupError>>,
) -> Result<Option<T>, RollupError> {
    let canceller = session.canceller();
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done.map(Some),
        () = shutdown.at_least(Urgency::Soon) => {}
    }
    // Again and again: between two statements there is nothing to cancel, and the next one may be the long one.
    let done = loop {
        if let Err(error) = canceller.cancel().await {
            warn!(error = %error, "cannot cancel a statement");
        }
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(CANCEL_AGAIN) => {}
        }
    };
    match done {
        Err(RollupError::Db(DbError::Cancelled(_))) => Ok(None),
        other => other.map(Some),
    }
}
