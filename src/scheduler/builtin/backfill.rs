//! Backfill of one rollup's pending months, so that a rollup over a table with history needs no further step.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;

use crate::db::Executor;
use crate::rollup::RollupError;
use crate::rollup::backfill::{self, End, Options};
use crate::rollup::watch::{Fence, Silent};
use crate::scheduler::handler::{Context, ending};
use crate::scheduler::outcome::Outcome;

/// Asks between months whether the lease is still ours. The month in hand is one server-side call under its own row's
/// lock and equals its source whoever fills it, so that nothing is lost by ending after it.
struct LeaseFence {
    context: Arc<Context>,
}

impl Fence for LeaseFence {
    fn check(&self) -> BoxFuture<'_, Result<(), RollupError>> {
        Box::pin(async {
            let session = self.context.sessions.take().await?;
            let is_held = self.context.is_held(&*session).await?;
            self.context.sessions.put(session).await;
            if is_held { Ok(()) } else { Err(RollupError::LockLost) }
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
    let fence = LeaseFence { context: Arc::new(context.clone()) };
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
        Err(RollupError::LockLost) => Outcome::Lost,
        Err(RollupError::Unknown { .. }) => Outcome::Done(json!({"note": "the rollup was dropped"})),
        Err(RollupError::Db(error)) => ending(&error),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
