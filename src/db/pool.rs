//! A small pool for parallel work. Locks never live on pooled connections.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use deadpool_postgres::{Connect, Hook, HookError, Manager, ManagerConfig, RecyclingMethod};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use super::connect::{SESSION_SETTINGS, prepared, reach};
use super::dial::{Dialled, Failure};
use super::error::innermost;
use super::target::Target;
use super::{DbError, Session};

/// Connections to one database, opened as they are asked for.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    target: Target,
    /// Why the last connection could not be made, where the driver's error type has no words for it.
    reason: Arc<Mutex<Option<String>>>,
}

impl Pool {
    /// A pool of at most `size` connections; none is opened yet.
    pub fn new(target: &Target, subcommand: &str, size: usize) -> Pool {
        let reason = Arc::default();
        let dialler = Dialler { target: target.clone(), reason: Arc::clone(&reason) };
        // `Clean` resets settings and releases session locks when a connection comes back; `Fast` would keep both.
        let manager = Manager::from_connect(
            prepared(target.config(), subcommand),
            dialler,
            ManagerConfig { recycling_method: RecyclingMethod::Clean },
        );
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(size.max(1))
            .post_create(settle())
            .post_recycle(settle())
            .build()
            .expect("a pool without timeouts needs no runtime");
        Pool { inner, target: target.clone(), reason }
    }

    /// A connection of the pool; waits while all are in use.
    ///
    /// # Errors
    ///
    /// [`DbError::Connect`].
    pub async fn get(&self) -> Result<Session, DbError> {
        let object = self.inner.get().await.map_err(|error| {
            let kept = self.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
            DbError::Connect {
                target: self.target.to_string(),
                reason: kept.unwrap_or_else(|| innermost(&error)),
            }
        })?;
        Ok(Session::pooled(object, self.target.tls().connector()))
    }
}

/// Makes the pool's connections as all others are made.
struct Dialler {
    target: Target,
    reason: Arc<Mutex<Option<String>>>,
}

type Made = Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connect for Dialler {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Made> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            let failure = match reach(&self.target, &config, None).await {
                Ok(Dialled { client, task }) => return Ok((client, task)),
                Err(failure) => failure,
            };
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.to_string());
            match failure {
                Failure::Driver(error) => Err(error),
                // Only the driver can make its errors; this one says that there is no host.
                Failure::TimedOut(_) | Failure::Lookup(_) | Failure::Objection(_) => {
                    match Config::new().connect(NoTls).await {
                        Err(error) => Err(error),
                        Ok((client, _)) => Ok((client, tokio::spawn(async {}))),
                    }
                }
            }
        })
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
