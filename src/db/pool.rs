//! A small pool for parallel work. Locks never live on pooled connections.

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, RecyclingMethod};
use tokio_postgres::NoTls;

use super::connect::{SESSION_SETTINGS, prepared};
use super::error::innermost;
use super::target::Target;
use super::{DbError, Session};

/// Connections to one database, opened as they are asked for.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    target: String,
}

impl Pool {
    /// A pool of at most `size` connections; none is opened yet.
    pub fn new(target: &Target, subcommand: &str, size: usize) -> Pool {
        // `Clean` resets settings and releases session locks when a connection comes back; `Fast` would keep both.
        let manager = Manager::from_config(
            prepared(target.config(), subcommand),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Clean },
        );
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(size.max(1))
            .post_create(settle())
            .post_recycle(settle())
            .build()
            .expect("a pool without timeouts needs no runtime");
        Pool { inner, target: target.to_string() }
    }

    /// A connection of the pool; waits while all are in use.
    ///
    /// # Errors
    ///
    /// [`DbError::Connect`].
    pub async fn get(&self) -> Result<Session, DbError> {
        let object = self
            .inner
            .get()
            .await
            .map_err(|error| DbError::Connect { target: self.target.clone(), reason: innermost(&error) })?;
        Ok(Session::pooled(object))
    }
}

/// Gives a new connection, or one that `Clean` has just reset, the settings of every session.
fn settle() -> Hook {
    Hook::async_fn(|client, _| {
        Box::pin(async move {
            client
                .batch_execute(SESSION_SETTINGS)
                .await
                .map_err(|error| HookError::Message(innermost(&error).into()))
        })
    })
}
