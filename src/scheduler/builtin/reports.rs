//! Reports: looks after those that do not come, once a minute: leases that ran out, long silence, slots that were missed, groups
//! without a young enough backup. Each pass is one fenced transaction.

use serde_json::json;

use crate::job::{JobError, alarm, sweep};
use crate::scheduler::handler::{Context, ending, lost};
use crate::scheduler::outcome::Outcome;

/// One pass.
pub async fn run(context: &Context) -> Outcome {
    match pass(context).await {
        Ok(outcome) => outcome,
        Err(JobError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn pass(context: &Context) -> Result<Outcome, JobError> {
    let mut session = context.sessions.take().await?;
    let Some(tx) = context.fenced(&mut session).await? else { return Ok(lost(context)) };
    let swept = sweep::pass(&tx).await?;
    let (standing, over) = alarm::standing(&tx).await?;
    tx.commit().await?;
    context.sessions.put(session).await;
    Ok(Outcome::Done(json!({
        "lost": swept.lost, "interrupted": swept.interrupted, "standing": standing, "over": over,
    })))
}
