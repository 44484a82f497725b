//! Verify of a few random months of one rollup, every hour. Drift is an alarm: the run fails, and `status` is critical
//! until a person has looked.

use serde_json::json;

use crate::ground::digits::grouped;
use crate::rollup::RollupError;
use crate::rollup::ledger::{self, Range};
use crate::rollup::verify::{self, Options};
use crate::rollup::watch::{Open, Silent};
use crate::scheduler::handler::{Context, ending, lost};
use crate::scheduler::outcome::Outcome;

/// Months that are compared.
const SAMPLE: i32 = 2;

/// Compares.
pub async fn run(context: &Context) -> Outcome {
    let name = match super::rollup(context) {
        Ok(name) => name,
        Err(outcome) => return outcome,
    };
    let options = Options { range: Range::default(), sample: Some(SAMPLE), parallel: 1, repair: false };
    let target = context.sessions.target();
    let report =
        verify::run(target, "worker verify", &name, &options, &Silent, &Open, &context.shutdown).await;
    let report = match report {
        Ok(report) => report,
        Err(RollupError::Unknown { .. }) => return Outcome::Done(json!({"note": "the rollup was dropped"})),
        Err(RollupError::Db(error)) => return ending(&error),
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    if report.interrupted {
        return Outcome::Stopped;
    }
    if report.drifted == 0 {
        return Outcome::Done(json!({"slices": report.slices, "rows": report.rows}));
    }
    // What clears errors of drains knows this beginning and leaves it.
    let words = format!(
        "drift: {} of {} rows compared differ from the source; \"highwater rollup verify {name}\" shows them, --repair makes \
         them right",
        grouped(report.drifted),
        grouped(report.rows)
    );
    let session = match context.sessions.take().await {
        Ok(session) => session,
        Err(error) => return ending(&error),
    };
    match context.is_held(&*session).await {
        Ok(true) => {}
        Ok(false) => return lost(context),
        Err(error) => return ending(&error),
    }
    if let Err(error) = ledger::record_error(&session, &name, Some(&words)).await {
        return Outcome::Failed(format!("{words}; it cannot be put on record: {error}"));
    }
    context.sessions.put(session).await;
    Outcome::Failed(words)
}
