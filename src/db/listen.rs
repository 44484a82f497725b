//! A connection that listens. Notifications hurry things up and carry nothing: whoever listens also polls.

use tokio::sync::mpsc;

use super::connect::connect_to_listen;
use super::target::Target;
use super::{DbError, Executor, Session};

/// A session under `LISTEN`. It must reach the server itself: behind a transaction pooler it hears nothing.
pub struct Listener {
    heard: mpsc::UnboundedReceiver<String>,
    /// Its end is the end of the listening.
    _session: Session,
}

impl Listener {
    /// Listens on channels, whose names need no quotes.
    ///
    /// # Errors
    ///
    /// As [`super::connect::connect`].
    pub async fn open(target: &Target, subcommand: &str, channels: &[&str]) -> Result<Listener, DbError> {
        let (session, heard) = connect_to_listen(target, subcommand).await?;
        for channel in channels {
            debug_assert!(
                channel
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            );
            session.batch(&format!("LISTEN {channel}")).await?;
        }
        Ok(Listener { heard, _session: session })
    }

    /// Waits for the next notification, and returns its channel. Nothing is lost when the wait is cut short.
    ///
    /// # Errors
    ///
    /// [`DbError::Lost`] when the connection is gone.
    pub async fn hear(&mut self) -> Result<String, DbError> {
        self.heard.recv().await.ok_or_else(|| DbError::Lost("the listening connection ended".to_owned()))
    }
}
