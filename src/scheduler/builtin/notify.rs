//! Notify: the holder of a minute's plan tells channels of alarms, every second of that minute. Claims are fenced, so that two
//! workers never tell the same thing; what a peer has answered is taken down in any case.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::ground::shutdown::Urgency;
use crate::job::JobError;
use crate::job::delivery::{self, Told};
use crate::scheduler::handler::{Context, ending, lost};
use crate::scheduler::outcome::Outcome;

/// Between two looks: an alarm is told about so long after it was raised.
const TICK: Duration = Duration::from_secs(1);

/// Works until the plan's minute is over.
pub async fn run(context: &Context) -> Outcome {
    match passes(context).await {
        Ok(outcome) => outcome,
        Err(JobError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn passes(context: &Context) -> Result<Outcome, JobError> {
    let end = context.end_of_plan();
    let mut all = Told::default();
    loop {
        let began = Instant::now();
        let Some(told) = pass(context).await? else { return Ok(lost(context)) };
        all.delivered += told.delivered;
        all.refused += told.refused;
        all.given_up += told.given_up;
        if context.shutdown.is_requested() {
            return Ok(Outcome::Stopped);
        }
        let next = began + TICK;
        if next >= end {
            tokio::time::sleep_until(end).await;
            return Ok(Outcome::Done(json!({
                "delivered": all.delivered, "refused": all.refused, "given_up": all.given_up,
            })));
        }
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = context.shutdown.at_least(Urgency::Soon) => return Ok(Outcome::Stopped),
        }
    }
}

/// One pass; no connection is held while peers are waited for. `None`: the lease is lost.
async fn pass(context: &Context) -> Result<Option<Told>, JobError> {
    let mut session = context.sessions.take().await?;
    let Some(tx) = context.fenced(&mut session).await? else { return Ok(None) };
    let claimed = delivery::claim(&tx).await?;
    tx.commit().await?;
    context.sessions.put(session).await;
    if claimed.is_empty() {
        return Ok(Some(Told::default()));
    }
    let answers = delivery::tell(claimed).await;
    let session = context.sessions.take().await?;
    let told = delivery::answer(&*session, &answers).await?;
    context.sessions.put(session).await;
    Ok(Some(told))
}
