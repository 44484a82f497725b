//! Long statements that end when a signal comes.

use tracing::warn;

use super::error::RollupError;
use crate::db::{DbError, Session};
use crate::ground::shutdown::{Shutdown, Urgency};

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
    if let Err(error) = canceller.cancel().await {
        warn!(error = %error, "cannot cancel a statement");
    }
    match work.await {
        Err(RollupError::Db(DbError::Cancelled(_))) => Ok(None),
        other => other.map(Some),
    }
}
