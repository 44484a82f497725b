//! Connections for runs. A run takes one whole, and gives it back only when it ended cleanly: the connection of a run
//! that was cut off may still be at work in the server, and is cut off there too, and closed.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::debug;

use crate::db::target::Target;
use crate::db::{DbError, Session, connect};

/// Idle connections that are kept.
const KEPT: usize = 4;

/// Hands out connections; clones share them.
#[derive(Clone)]
pub struct Sessions {
    target: Arc<Target>,
    idle: Arc<Mutex<Vec<Session>>>,
    lent: Arc<AtomicUsize>,
}

/// A connection that is out. Dropped, and not [put back](Sessions::put), it cancels what it may still be running: the
/// driver by itself would wait for the answer, and the statement would keep its locks until then.
pub struct Lent {
    session: Option<Session>,
    /// How many are out, this one among them.
    lent: Arc<AtomicUsize>,
}

impl Deref for Lent {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("taken out only when it is put back or dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("taken out only when it is put back or dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.lent.fetch_sub(1, Ordering::Relaxed);
        let Some(session) = self.session.take().filter(|session| !session.is_closed()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let canceller = session.canceller();
        runtime.spawn(async move {
            if let Err(error) = canceller.cancel().await {
                debug!(error = %error, "a statement that was cut off cannot be cancelled");
            }
            drop(session);
        });
    }
}

impl Sessions {
    pub fn new(target: Arc<Target>) -> Sessions {
        Sessions { target, idle: Arc::default(), lent: Arc::default() }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many are out, and how many lie idle.
    pub fn count(&self) -> (usize, usize) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        (self.lent.load(Ordering::Relaxed), idle)
    }

    /// A connection that nobody else uses.
    ///
    /// # Errors
    ///
    /// As [`connect::connect`].
    pub async fn take(&self) -> Result<Lent, DbError> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let session = match idle {
                Some(session) if session.is_closed() => continue,
                Some(session) => session,
                None => connect::connect(&self.target, "worker").await?,
            };
            self.lent.fetch_add(1, Ordering::Relaxed);
            return Ok(Lent { session: Some(session), lent: Arc::clone(&self.lent) });
        }
    }

    /// Takes back a connection on which nothing runs, with the settings that it began with.
    pub async fn put(&self, mut lent: Lent) {
        if connect::restore(&*lent).await.is_err() {
            return;
        }
        let Some(session) = lent.session.take() else { return };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(session);
        }
    }
}
