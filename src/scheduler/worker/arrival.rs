//! A worker's arrival: it waits for the database, as long as it takes, and is somebody new there at every start.

use tokio::time::{sleep, timeout};
use tracing::warn;

use super::{Options, PATIENCE};
use crate::db::target::Target;
use crate::db::{Session, connect};
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::rollup::{RollupError, install};
use crate::scheduler::SchedulerError;
use crate::scheduler::claim::Identity;
use crate::scheduler::pace::Pace;
use crate::scheduler::vitals::Vitals;

/// Waits for the database, and takes a new identity there. `None`: a signal came first.
pub(super) async fn arrive(
    target: &Target,
    options: &Options,
    vitals: &Vitals,
    shutdown: &Shutdown,
) -> Result<Option<(Session, Identity)>, SchedulerError> {
    let mut pace = Pace::default();
    let mut is_told = false;
    loop {
        let arrived = async {
            let mut session = connect::connect(target, "worker").await?;
            install::require_schema(&session).await?;
            options.program.register(&mut session).await?;
            let identity = Identity::new(&session, &options.host).await?;
            Ok::<_, SchedulerError>((session, identity))
        };
        let arrived = tokio::select! {
            arrived = timeout(PATIENCE, arrived) => arrived,
            () = shutdown.at_least(Urgency::Soon) => return Ok(None),
        };
        match arrived {
            Ok(Ok(arrived)) => return Ok(Some(arrived)),
            Err(_) => {
                if !std::mem::replace(&mut is_told, true) {
                    warn!("waiting for the database, which has not answered for {PATIENCE:?}");
                }
            }
            Ok(Err(error)) if is_absence(&error) => {
                if !std::mem::replace(&mut is_told, true) {
                    warn!(error = %error, "waiting for the database: {error}");
                }
            }
            Ok(Err(error)) => return Err(error),
        }
        vitals.turned();
        tokio::select! {
            () = sleep(pace.pause()) => {}
            () = shutdown.at_least(Urgency::Soon) => return Ok(None),
        }
    }
}

/// Whether an error says that the database cannot be reached, now.
pub(super) fn is_absence(error: &SchedulerError) -> bool {
    match error {
        SchedulerError::Db(error) | SchedulerError::Rollup(RollupError::Db(error)) => error.is_absence(),
        _ => false,
    }
}
