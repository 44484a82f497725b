//! Verify of a few random months of one rollup, every hour. Drift is an alarm: the run fails, and `status` is critical
//! until its months are right.

use serde_json::json;

use crate::ground::digits::grouped;
use crate::rollup::RollupError;
use crate::rollup::ledger::Range;
use crate::rollup::verify::{self, Options};
use crate::rollup::watch::{Open, Silent};
use crate::scheduler::handler::{Context, ending};
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
    // The proof has put it on record with its months.
    Outcome::Failed(format!(
        "drift: {} of {} rows compared differ from the source; \"highwater rollup verify {name}\" shows them, --repair makes \
         them right",
        grouped(report.drifted),
        grouped(report.rows)
    ))
}
