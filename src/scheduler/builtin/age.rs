//! Ageing of one rollup, once a day: coming months are made, raw events of sealed months go, and so do months that it does
//! not keep any longer.

use serde_json::json;

use super::fence::LeaseFence;
use crate::db::Session;
use crate::ground::shutdown::Shutdown;
use crate::rollup::prune::{self, BATCH, Options, Report};
use crate::rollup::watch::Fence;
use crate::rollup::{RollupError, RollupName, ledger};
use crate::scheduler::handler::{Context, ending};
use crate::scheduler::outcome::Outcome;

/// Prunes as the definition says; nothing, where it keeps everything.
pub async fn run(context: &Context) -> Outcome {
    let name = match super::rollup(context) {
        Ok(name) => name,
        Err(outcome) => return outcome,
    };
    let mut session = match context.sessions.take().await {
        Ok(session) => session,
        Err(error) => return ending(&error),
    };
    let fence = LeaseFence::of(context);
    match age(&mut session, &name, &fence, &context.shutdown).await {
        Ok((_, report)) if report.interrupted => Outcome::Stopped,
        Ok((made, report)) => {
            context.sessions.put(session).await;
            Outcome::Done(json!({"months_made": made, "pruned": report.pruned, "dropped": report.dropped}))
        }
        Err(_) if context.shutdown.is_requested() => Outcome::Stopped,
        Err(RollupError::LockLost) => Outcome::Lost,
        Err(RollupError::Unknown { .. }) => Outcome::Done(json!({"note": "the rollup was dropped"})),
        Err(RollupError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn age(
    session: &mut Session,
    name: &RollupName,
    fence: &LeaseFence,
    shutdown: &Shutdown,
) -> Result<(i64, Report), RollupError> {
    let options = Options { dry_run: false, batch: BATCH };
    let report = prune::run(session, name, options, fence, shutdown).await?;
    fence.check().await?;
    Ok((ledger::ahead(session, name).await?, report))
}
