//! Backfill of one rollup's pending months, so that a rollup over a table with history needs no further step.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use serde_json::json;

use super::fence::LeaseFence;
use crate::db::Executor;
use crate::rollup::backfill::{self, End, Options};
use crate::rollup::watch::{Fence, Silent};
use crate::rollup::{RollupError, RollupName};
use crate::scheduler::handler::{Context, ending};
use crate::scheduler::outcome::Outcome;

/// Asks between months, beside the lease, whether somebody has paused the rollup.
struct PauseFence<'a> {
    lease: LeaseFence,
    context: &'a Context,
    rollup: &'a RollupName,
    is_paused: AtomicBool,
}

impl Fence for PauseFence<'_> {
    fn check(&self) -> BoxFuture<'_, Result<(), RollupError>> {
        Box::pin(async {
            self.lease.check().await?;
            let session = self.context.sessions.take().await?;
            let statement = include_str!("../../../sql/scheduler/is_paused.sql");
            let row = session.query_opt(statement, &[&self.rollup.as_str()]).await?;
            self.context.sessions.put(session).await;
            if row.is_some_and(|row| row.get("paused")) {
                self.is_paused.store(true, Ordering::Relaxed);
                return Err(RollupError::LockLost);
            }
            Ok(())
        })
    }
}

/// Fills what is pending; nothing, as a rule.
pub async fn run(context: &Context) -> Outcome {
    let name = match super::rollup(context) {
        Ok(name) => name,
        Err(outcome) => return outcome,
    };
    let session = match context.sessions.take().await {
        Ok(session) => session,
        Err(error) => return ending(&error),
    };
    let needed =
        session.query_opt(include_str!("../../../sql/scheduler/needs_backfill.sql"), &[&name.as_str()]).await;
    let needed = match needed {
        Ok(row) => row.is_some_and(|row| row.get("needed")),
        Err(error) => return ending(&error),
    };
    context.sessions.put(session).await;
    if !needed {
        return Outcome::Done(serde_json::Value::Null);
    }
    let fence = PauseFence {
        lease: LeaseFence::of(context),
        context,
        rollup: &name,
        is_paused: AtomicBool::new(false),
    };
    let target = context.sessions.target();
    let report = backfill::run(
        target,
        "worker backfill",
        &name,
        &Options::default(),
        &Silent,
        &fence,
        &context.shutdown,
    )
    .await;
    match report {
        Ok(report) if report.end == End::Complete => {
            Outcome::Done(json!({"slices": report.filled, "rows_written": report.rows}))
        }
        Ok(_) => Outcome::Stopped,
        Err(_) if context.shutdown.is_requested() => Outcome::Stopped,
        Err(RollupError::LockLost) if fence.is_paused.load(Ordering::Relaxed) => {
            Outcome::Done(json!({"note": "the rollup is paused"}))
        }
        Err(RollupError::LockLost) => Outcome::Lost,
        Err(RollupError::Unknown { .. }) => Outcome::Done(json!({"note": "the rollup was dropped"})),
        Err(RollupError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
