//! Materialise: puts due plan times on the ledger. Any worker may, and all do; one statement asks what all scopes owe,
//! another writes it.

use chrono::{DateTime, TimeDelta, Utc};
use tracing::error;

use super::planner::{self, CatchUp, Planned, Rule};
use super::timing::Timing;
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

/// A scope that moves on, with the plans that it owes.
struct Move {
    job: String,
    scope: String,
    known_to: Option<DateTime<Utc>>,
    reached: DateTime<Utc>,
    next_plan_at: Option<DateTime<Utc>>,
    /// Empty for a cadence, whose next plan time the database finds by itself.
    next_rule: String,
    planned: Vec<Planned>,
}

/// Writes the plans that all scopes owe by the database's clock, and moves the scopes on in the same transaction. Workers
/// are called once, if any plan is to run.
///
/// # Errors
///
/// What the server says, and [`SchedulerError::UnknownWord`]; then nothing was written.
pub async fn materialise(db: &impl Executor) -> Result<Made, SchedulerError> {
    let rows = db.query(include_str!("../../sql/scheduler/behind.sql"), &[]).await?;
    let mut moves = Vec::with_capacity(rows.len());
    for row in &rows {
        moves.extend(owed(row)?);
    }
    if moves.is_empty() {
        return Ok(Made::default());
    }
    let each = |text: fn(&Move) -> &str| moves.iter().map(|one| text(one).to_owned()).collect::<Vec<_>>();
    let (jobs, scopes, rules) = (each(|one| &one.job), each(|one| &one.scope), each(|one| &one.next_rule));
    let known: Vec<Option<DateTime<Utc>>> = moves.iter().map(|one| one.known_to).collect();
    let reached: Vec<DateTime<Utc>> = moves.iter().map(|one| one.reached).collect();
    let next: Vec<Option<DateTime<Utc>>> = moves.iter().map(|one| one.next_plan_at).collect();
    let plans = || moves.iter().flat_map(|one| one.planned.iter().map(move |planned| (one, planned)));
    let plan_jobs: Vec<String> = plans().map(|(one, _)| one.job.clone()).collect();
    let plan_scopes: Vec<String> = plans().map(|(one, _)| one.scope.clone()).collect();
    let times: Vec<DateTime<Utc>> = plans().map(|(_, planned)| planned.plan_time).collect();
    let reasons: Vec<String> = plans().map(|(_, planned)| planned.verdict.why()).collect();
    let statement = include_str!("../../sql/scheduler/materialise.sql");
    let written = db
        .query_one(
            statement,
            &[&jobs, &scopes, &known, &reached, &next, &rules, &plan_jobs, &plan_scopes, &times, &reasons],
        )
        .await?;
    let made = Made { due: written.get("due"), skipped: written.get("skipped") };
    if made.due > 0 {
        call::call(db, call::CHANNEL).await?;
    }
    Ok(made)
}

/// What a scope that may be behind owes. `None`: nothing, and the ledger knows all about it.
fn owed(row: &Row) -> Result<Option<Move>, SchedulerError> {
    let cursor: DateTime<Utc> = row.get("materialised_to");
    let (cron, tz): (Option<&str>, Option<&str>) = (row.get("cron"), row.get("tz"));
    let mut one = Move {
        job: row.get("job"),
        scope: row.get("scope"),
        known_to: row.get("known_to"),
        reached: cursor,
        next_plan_at: None,
        next_rule: cron.map(|cron| format!("{} {cron}", tz.unwrap_or_default())).unwrap_or_default(),
        planned: Vec::new(),
    };
    let timing = match Timing::read(row.get("cadence_ms"), cron, tz) {
        Ok(timing) => timing,
        // Written by a hand that went past our checks. It is told of once: the rule is noted, with no plan time to come.
        Err(reason) => {
            let job = &one.job;
            error!(%job, error = %reason, "job {job} will not run: {reason}");
            return Ok(Some(one));
        }
    };
    let rule = Rule {
        timing,
        delay: TimeDelta::milliseconds(row.get("schedule_delay_ms")),
        catch_up: CatchUp::read(row.get("catch_up"))?,
        window: TimeDelta::milliseconds(row.get("catch_up_window_ms")),
        room: usize::try_from(row.get::<_, i64>("room")).unwrap_or_default(),
        is_paused: row.get("is_paused"),
    };
    (one.planned, one.reached) = planner::plan(&rule, cursor, row.get("now"));
    if matches!(rule.timing, Timing::Cron(_)) {
        one.next_plan_at = rule.timing.next(one.reached);
    } else if one.planned.is_empty() {
        return Ok(None);
    }
    Ok(Some(one))
}
