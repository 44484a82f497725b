//! Drain of one rollup: the holder of a minute's plan makes marked buckets right all through that minute, so that a
//! change is in the rollup about a second after its commit, and the ledger grows by one row a minute.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, info, info_span, warn};

use crate::db::{DbError, Executor, Param, Session};
use crate::ground::shutdown::Urgency;
use crate::rollup::drain::{self, Outcome as Pass};
use crate::rollup::{RollupError, RollupName, install, ledger, relation};
use crate::scheduler::handler::{Context, ending, lost};
use crate::scheduler::outcome::Outcome;

/// Pauses after a pass that found nothing grow from the first to the longest: an idle rollup costs a statement a second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A pass that leaves nothing behind is followed by so many times its own length: a stream of changes takes a quarter of a
/// core at most, until a pass takes a third of a second.
const REST: u32 = 3;

/// Pause while others hold every marked month.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// What all passes of a run did.
#[derive(Default)]
struct Tally {
    passes: u64,
    marks: i64,
    buckets: i64,
    rows: i64,
}

/// Drains until the plan's minute is over.
pub async fn run(context: &Context) -> Outcome {
    let name = match super::rollup(context) {
        Ok(name) => name,
        Err(outcome) => return outcome,
    };
    let mut session = match context.sessions.take().await {
        Ok(session) => session,
        Err(error) => return ending(&error),
    };
    match install::load(&mut session, &name).await {
        Ok(_) => {}
        Err(RollupError::Unknown { .. }) => return Outcome::Done(json!({"note": "the rollup was dropped"})),
        Err(RollupError::Db(error)) => return ending(&error),
        Err(error) => return note(context, &session, &name, &error).await,
    }
    match relation::follow(&mut session, &name, false).await {
        Ok(0) => {}
        Ok(tables) => {
            info!(rollup = %name, tables, "partitions came or went: capture of {name} follows them")
        }
        // A writer holds the partition; the next minute's run tries again, and status tells meanwhile.
        Err(RollupError::Db(error @ (DbError::LockTimeout(_) | DbError::Retry(_)))) => {
            warn!(rollup = %name, error = %error, "cannot put capture of {name} on a new partition yet");
        }
        Err(RollupError::Db(error @ (DbError::Lost(_) | DbError::Connect { .. }))) => return ending(&error),
        Err(error) => return note(context, &session, &name, &error).await,
    }
    let mut tally = Tally::default();
    match passes(context, &session, &name, &mut tally).await {
        Ok(outcome) => {
            context.sessions.put(session).await;
            outcome
        }
        Err(RollupError::Db(error @ (DbError::Lost(_) | DbError::Connect { .. }))) => ending(&error),
        Err(error) => note(context, &session, &name, &error).await,
    }
}

async fn passes(
    context: &Context,
    session: &Session,
    name: &RollupName,
    tally: &mut Tally,
) -> Result<Outcome, RollupError> {
    let end = context.end_of_plan();
    let fence = include_str!("../../../sql/scheduler/drain_fence.sql");
    let rollup = name.as_str();
    let values: [&dyn Param; 3] = [&context.hold.run.0, &context.hold.token.0, &rollup];
    let mut pause = FIRST_PAUSE;
    let mut is_first = true;
    loop {
        let began = Instant::now();
        let span = info_span!("pass", rollup, marks = Empty, buckets = Empty, rows = Empty);
        let passing = drain::pass_if(session, name, fence, &values).instrument(span.clone());
        let Some(pass) = passing.await? else {
            let statement = include_str!("../../../sql/scheduler/is_paused.sql");
            let row = session.query_opt(statement, &[&rollup]).await?;
            return Ok(if row.is_some_and(|row| row.get("paused")) {
                Outcome::Done(
                    json!({"note": "the rollup is paused", "passes": tally.passes, "marks": tally.marks}),
                )
            } else {
                lost(context)
            });
        };
        if std::mem::take(&mut is_first) {
            session.query(include_str!("../../../sql/scheduler/clear_error.sql"), &[&name.as_str()]).await?;
        }
        if pass.marks > 0 {
            span.record("marks", pass.marks).record("buckets", pass.buckets).record("rows", pass.rows);
            context.vitals.count_drain(name.as_str(), pass.marks, pass.buckets, began.elapsed());
        }
        tally.passes += 1;
        tally.marks += pass.marks;
        tally.buckets += pass.buckets;
        tally.rows += pass.rows;
        let rest = match pass.outcome {
            Pass::Drained if pass.is_abreast => {
                pause = FIRST_PAUSE;
                (began.elapsed() * REST).min(LONGEST_PAUSE)
            }
            Pass::Drained | Pass::Filled | Pass::Discarded => {
                pause = FIRST_PAUSE;
                Duration::ZERO
            }
            Pass::Unexpanded => {
                ledger::expand(session, name).await?;
                Duration::ZERO
            }
            Pass::Busy => BUSY_PAUSE,
            Pass::Idle => {
                let rest = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                rest
            }
        };
        if context.shutdown.is_requested() {
            return Ok(Outcome::Stopped);
        }
        // A plan that was caught up with late still makes a whole round: until nothing is left to do at once.
        if Instant::now() + rest >= end && !rest.is_zero() {
            tokio::time::sleep(end.saturating_duration_since(Instant::now())).await;
            return Ok(Outcome::Done(json!({
                "passes": tally.passes, "marks": tally.marks, "buckets": tally.buckets, "rows_written": tally.rows,
            })));
        }
        if !rest.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = context.shutdown.at_least(Urgency::Soon) => {}
            }
        }
    }
}

/// Puts a failure where `status` shows it.
async fn note(context: &Context, session: &Session, name: &RollupName, error: &RollupError) -> Outcome {
    let words = error.to_string();
    match context.is_held(session).await {
        Ok(true) => {
            if let Err(unrecorded) = ledger::record_error(session, name, Some(&words)).await {
                warn!(rollup = %name, error = %unrecorded, "cannot record why the drain of {name} failed");
            }
        }
        Ok(false) => return lost(context),
        Err(error) => return ending(&error),
    }
    Outcome::Failed(words)
}
