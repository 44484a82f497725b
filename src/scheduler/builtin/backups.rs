//! Backups: the holder of a minute's plan writes slots as they come, looks at hosts that may have missed something, and
//! settles what has ended, every five seconds of that minute. Each pass is one fenced transaction.

use std::time::Duration;

use chrono::Timelike;
use serde_json::json;
use tokio::time::Instant;

use crate::db::Session;
use crate::ground::shutdown::Urgency;
use crate::job::{JobError, arm, settle, slot};
use crate::scheduler::handler::{Context, ending, lost};
use crate::scheduler::outcome::Outcome;

/// Between two passes.
const TICK: Duration = Duration::from_secs(5);

/// In minutes that this divides, all hosts are swept for what is overdue, hello or not.
const SWEEP_MINUTES: u32 = 5;

/// What all passes of a run did.
#[derive(Default)]
struct Tally {
    passes: u64,
    slots: i64,
    runs: i64,
    good: usize,
}

/// Works until the plan's minute is over.
pub async fn run(context: &Context) -> Outcome {
    let mut session = match context.sessions.take().await {
        Ok(session) => session,
        Err(error) => return ending(&error),
    };
    match passes(context, &mut session).await {
        Ok(outcome) => {
            context.sessions.put(session).await;
            outcome
        }
        Err(JobError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn passes(context: &Context, session: &mut Session) -> Result<Outcome, JobError> {
    let claimed = &context.claimed;
    let end = context.end_of_plan();
    let mut tally = Tally::default();
    loop {
        let is_first = tally.passes == 0;
        let is_sweep = is_first && claimed.plan_time.minute().is_multiple_of(SWEEP_MINUTES);
        let began = Instant::now();
        let Some(is_done) = pass(context, session, &mut tally, is_first, is_sweep).await? else {
            return Ok(lost(context));
        };
        if context.shutdown.is_requested() {
            return Ok(Outcome::Stopped);
        }
        if !is_done {
            continue;
        }
        let next = began + TICK;
        if next >= end {
            tokio::time::sleep_until(end).await;
            return Ok(Outcome::Done(json!({
                "passes": tally.passes, "slots": tally.slots, "runs": tally.runs, "good": tally.good,
            })));
        }
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = context.shutdown.at_least(Urgency::Soon) => return Ok(Outcome::Stopped),
        }
    }
}

/// One pass. The answer says whether no slot is left to be written; `None`: the lease is lost.
async fn pass(
    context: &Context,
    session: &mut Session,
    tally: &mut Tally,
    is_first: bool,
    is_sweep: bool,
) -> Result<Option<bool>, JobError> {
    let Some(tx) = context.fenced(session).await? else { return Ok(None) };
    arm::settings(&tx).await?;
    if is_first {
        arm::mark_offline(&tx).await?;
    }
    let made = slot::materialise(&tx).await?;
    // What has ended comes first: a backup that is done must not look overdue.
    let settled = settle::pass(&tx).await?;
    if is_sweep {
        arm::sweep(&tx).await?;
    }
    let looked = arm::evaluate(&tx).await?;
    tx.commit().await?;
    tally.passes += 1;
    tally.slots += made.slots;
    tally.runs += made.runs + looked.runs;
    tally.good += settled.good;
    Ok(Some(made.schedules == 0))
}
