//! Connections for runs. A run takes one whole, and gives it back only when it ended cleanly: the connection of a run
//! that was cut off may still be at work in the server, and is closed instead.

use std::sync::{Arc, Mutex, PoisonError};

use crate::db::target::Target;
use crate::db::{DbError, Session, connect};

/// Idle connections that are kept.
const KEPT: usize = 4;

/// Hands out connections; clones share them.
#[derive(Clone)]
pub struct Sessions {
    target: Arc<Target>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Sessions {
    pub fn new(target: Arc<Target>) -> Sessions {
        Sessions { target, idle: Arc::default() }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A connection that nobody else uses.
    ///
    /// # Errors
    ///
    /// As [`connect::connect`].
    pub async fn take(&self) -> Result<Session, DbError> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(session) if session.is_closed() => {}
                Some(session) => return Ok(session),
                None => return connect::connect(&self.target, "worker").await,
            }
        }
    }

    /// Takes back a connection on which nothing runs, with the settings that it began with.
    pub async fn put(&self, session: Session) {
        if connect::restore(&session).await.is_err() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(session);
        }
    }
}
