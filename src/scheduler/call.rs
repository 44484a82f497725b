//! Call: hurries workers when plans became due that no poll would find for up to a second.
//!
//! One connection of a worker listens; all others may go through a transaction pooler. That `LISTEN` holds is not
//! believed but tried: the worker's main connection calls the listening one by its own channel, and one that does not
//! hear that is opened anew. Polling goes on all the while, so that a deaf worker is a second late and nothing worse.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::SchedulerError;
use super::pace::Pace;
use super::vitals::{Hearing, Vitals};
use crate::db::listen::Listener;
use crate::db::target::Target;
use crate::db::{DbError, Executor};

/// The channel that all workers of a database listen on.
pub const CHANNEL: &str = "highwater_plan";

/// Distance of the calls by which a worker tries its own ear.
pub const TRIAL: Duration = Duration::from_secs(10);

/// Two trials that were not heard, and a slow round between them.
pub const DEAF: Duration = Duration::from_secs(25);

/// Pause before a connection that heard nothing is tried again: what is between it and the server changes rarely.
const DEAF_PAUSE: Duration = Duration::from_secs(60);

/// Making the connection takes longer than this only when nobody answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The channel of one worker's trials.
pub fn own_channel(incarnation: &str) -> String {
    format!("highwater_worker_{}", incarnation.replace('-', "_"))
}

/// Calls those who listen on a channel.
///
/// # Errors
///
/// What the server says.
pub async fn call(db: &impl Executor, channel: &str) -> Result<(), SchedulerError> {
    db.query(include_str!("../../sql/scheduler/notify.sql"), &[&channel]).await?;
    Ok(())
}

/// Listens until dropped, and wakes the worker at each call. A connection that hears nothing for the span `deaf`, which
/// is longer than two trials are apart, is given up.
pub async fn keep(
    target: Arc<Target>,
    incarnation: String,
    deaf: Duration,
    wake: Arc<Notify>,
    vitals: Arc<Vitals>,
) {
    let own = own_channel(&incarnation);
    let mut pace = Pace::default();
    let mut is_told = false;
    loop {
        vitals.set_hearing(Hearing::Untried);
        let opened = timeout(PATIENCE, Listener::open(&target, "worker listen", &[CHANNEL, &own])).await;
        let pause = match opened {
            Ok(Ok(mut listener)) => {
                // Plans may have become due while nobody listened.
                wake.notify_one();
                match listen(&mut listener, &own, deaf, &wake, &vitals).await {
                    End::Deaf => {
                        vitals.set_hearing(Hearing::Deaf);
                        if !std::mem::replace(&mut is_told, true) {
                            warn!(
                                "the listening connection hears nothing, as behind a transaction pooler; polling once a second"
                            );
                        }
                        DEAF_PAUSE
                    }
                    End::Lost(has_heard) => {
                        vitals.set_hearing(Hearing::Untried);
                        if has_heard {
                            pace.reset();
                            if std::mem::take(&mut is_told) {
                                info!("calls are heard again");
                            }
                        }
                        pace.pause()
                    }
                }
            }
            Ok(Err(error)) => {
                debug!(error = %error, "cannot listen");
                pace.pause()
            }
            Err(_) => {
                debug!("the listening connection was not made within {PATIENCE:?}");
                pace.pause()
            }
        };
        sleep(pause).await;
    }
}

/// Why listening ended.
enum End {
    /// Not even our own calls arrived.
    Deaf,
    /// The connection broke; whether it had ever heard something.
    Lost(bool),
}

async fn listen(listener: &mut Listener, own: &str, deaf: Duration, wake: &Notify, vitals: &Vitals) -> End {
    let mut has_heard = false;
    loop {
        match timeout(deaf, listener.hear()).await {
            Ok(Ok(channel)) => {
                has_heard = true;
                vitals.set_hearing(Hearing::Good);
                if channel != own {
                    wake.notify_one();
                }
            }
            Ok(Err(DbError::Lost(_))) => return End::Lost(has_heard),
            Ok(Err(error)) => {
                debug!(error = %error, "listening failed");
                return End::Lost(has_heard);
            }
            Err(_) => return End::Deaf,
        }
    }
}
