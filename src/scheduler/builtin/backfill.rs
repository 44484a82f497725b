//! Backfill of one rollup's pending months, so that a rollup over a table with history needs no further step.

use serde_json::json;

use super::fence::LeaseFence;
use crate::db::Executor;
use crate::rollup::RollupError;
use crate::rollup::backfill::{self, End, Options};
use crate::rollup::watch::Silent;
use crate::scheduler::handler::{Context, ending};
use crate::scheduler::outcome::Outcome;

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
    let fence = LeaseFence::of(context);
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
