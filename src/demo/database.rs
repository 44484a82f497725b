//! A database of the demonstration's own: whatever else lives on the server is not touched.
//!
//! There is one on a server, so demonstrations take turns: an advisory lock in the database that they start from,
//! held by a session of its own until they end.

use tracing::warn;

use super::DemoError;
use crate::db::target::Target;
use crate::db::{DbError, Executor, Session, connect};
use crate::ground::shutdown::{Shutdown, Urgency};

/// Its name; one that is left from an earlier demonstration is replaced.
pub const DATABASE: &str = "highwater_demo";

/// "highdemo" in ASCII: readable in `pg_locks`, and no one's by accident.
const TURN_KEY: i64 = 0x6869_6768_6465_6d6f;

/// The turn of one demonstration; it ends when this is dropped.
pub struct Turn {
    _session: Session,
}

/// Makes the database anew on the server of `target`, once no other demonstration uses it.
///
/// # Errors
///
/// [`DemoError::Database`], for example without the right to create one; [`DemoError::Interrupted`] when `shutdown`
/// ends the wait for another demonstration.
pub async fn renew(target: &Target, shutdown: &Shutdown) -> Result<(Target, Turn), DemoError> {
    let session = connect::connect(target, "demo").await?;
    tokio::select! {
        taken = take_turn(&session) => taken?,
        () = shutdown.at_least(Urgency::Soon) => return Err(DemoError::Interrupted),
    }
    let failed = |source| DemoError::Database { database: DATABASE.to_owned(), source };
    session.batch(&format!("DROP DATABASE IF EXISTS {DATABASE}")).await.map_err(failed)?;
    session.batch(&format!("CREATE DATABASE {DATABASE}")).await.map_err(failed)?;
    Ok((target.with_database(DATABASE), Turn { _session: session }))
}

async fn take_turn(session: &Session) -> Result<(), DbError> {
    let tried = session.query_one(include_str!("../../sql/demo/try_turn.sql"), &[&TURN_KEY]).await?;
    if !tried.get::<_, bool>(0) {
        warn!("another demonstration runs on this server: waiting for its end");
        session.query_one(include_str!("../../sql/demo/wait_for_turn.sql"), &[&TURN_KEY]).await?;
    }
    Ok(())
}
