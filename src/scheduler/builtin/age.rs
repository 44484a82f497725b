//! Ageing of one rollup, once a day: raw events of sealed months go, and months that it does not keep any longer.

use serde_json::json;

use super::fence::LeaseFence;
use crate::rollup::RollupError;
use crate::rollup::prune::{self, BATCH, Options};
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
    let options = Options { dry_run: false, batch: BATCH };
    match prune::run(&mut session, &name, options, &fence, &context.shutdown).await {
        Ok(report) if report.interrupted => Outcome::Stopped,
        Ok(report) => {
            context.sessions.put(session).await;
            Outcome::Done(json!({"pruned": report.pruned, "dropped": report.dropped}))
        }
        Err(_) if context.shutdown.is_requested() => Outcome::Stopped,
        Err(RollupError::LockLost) => Outcome::Lost,
        Err(RollupError::Unknown { .. }) => Outcome::Done(json!({"note": "the rollup was dropped"})),
        Err(RollupError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
