//! Materialise: puts due plan times on the ledger. Any worker may, and all do.

use chrono::{DateTime, TimeDelta, Utc};

use super::planner::{self, CatchUp, Rule};
use super::{SchedulerError, call};
use crate::db::{Executor, Row};

/// What one pass over all scopes did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Made {
    /// Plans that are to run.
    pub due: i64,
    /// Plans that were recorded as skipped, or that a newer one has covered.
    pub skipped: i64,
}

/// Writes the plans that all scopes owe by the database's clock, and moves the scopes on in the same transaction. Workers
/// are called once, if any plan is to run.
///
/// # Errors
///
/// What the server says, and [`SchedulerError::UnknownWord`]; scopes that were done before stay done.
pub async fn materialise(db: &impl Executor) -> Result<Made, SchedulerError> {
    let mut made = Made::default();
    for row in db.query(include_str!("../../sql/scheduler/behind.sql"), &[]).await? {
        let (due, skipped) = scope(db, &row).await?;
        made.due += due;
        made.skipped += skipped;
    }
    if made.due > 0 {
        call::call(db, call::CHANNEL).await?;
    }
    Ok(made)
}

async fn scope(db: &impl Executor, row: &Row) -> Result<(i64, i64), SchedulerError> {
    let rule = Rule {
        cadence: TimeDelta::milliseconds(row.get("cadence_ms")),
        delay: TimeDelta::milliseconds(row.get("schedule_delay_ms")),
        catch_up: CatchUp::read(row.get("catch_up"))?,
        window: TimeDelta::milliseconds(row.get("catch_up_window_ms")),
        room: usize::try_from(row.get::<_, i64>("room")).unwrap_or_default(),
        is_paused: row.get("is_paused"),
    };
    let known_to: Option<DateTime<Utc>> = row.get("known_to");
    let cursor: DateTime<Utc> = row.get("materialised_to");
    let (planned, reached) = planner::plan(&rule, cursor, row.get("now"));
    if planned.is_empty() {
        return Ok((0, 0));
    }
    let times: Vec<DateTime<Utc>> = planned.iter().map(|one| one.plan_time).collect();
    let reasons: Vec<String> = planned.iter().map(|one| one.verdict.why()).collect();
    let (job, scope): (&str, &str) = (row.get("job"), row.get("scope"));
    let written = db
        .query_one(
            include_str!("../../sql/scheduler/materialise.sql"),
            &[&job, &scope, &known_to, &reached, &times, &reasons],
        )
        .await?;
    Ok((written.get("due"), written.get("skipped")))
}
