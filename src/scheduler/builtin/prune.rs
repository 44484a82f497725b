//! Prune: the ledger's old rows go, in batches that each begin with the fence.

use serde_json::json;

use crate::ground::shutdown::Shutdown;
use crate::scheduler::SchedulerError;
use crate::scheduler::handler::{Context, ending, lost};
use crate::scheduler::outcome::Outcome;
use crate::scheduler::prune::{self, BATCH};

/// Prunes until nothing old is left.
pub async fn run(context: &Context) -> Outcome {
    match batches(context, &context.shutdown).await {
        Ok(outcome) => outcome,
        Err(SchedulerError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn batches(context: &Context, shutdown: &Shutdown) -> Result<Outcome, SchedulerError> {
    let mut session = context.sessions.take().await?;
    let Some(tx) = context.fenced(&mut session).await? else { return Ok(lost(context)) };
    let unwanted = prune::scopes(&tx).await?;
    tx.commit().await?;
    let mut pruned = 0;
    loop {
        if shutdown.is_requested() {
            return Ok(Outcome::Stopped);
        }
        let Some(tx) = context.fenced(&mut session).await? else { return Ok(lost(context)) };
        let count = prune::plans(&tx).await?;
        tx.commit().await?;
        pruned += count;
        if count < BATCH {
            context.sessions.put(session).await;
            return Ok(Outcome::Done(json!({"plans": pruned, "unwanted": unwanted})));
        }
    }
}
