//! Reading the ledger and the jobs, for people and programs.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::SchedulerError;
use super::job::Kind;
use super::lease::RunId;
use super::state::State;
use super::timing::Timing;
use crate::db::{Executor, Row};

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub run_id: RunId,
    pub job: String,
    /// What the job works on; empty for a job with one scope.
    pub scope: String,
    pub plan_time: DateTime<Utc>,
    pub state: State,
    pub next_try_at: Option<DateTime<Utc>>,
    /// Milliseconds from now, by the database's clock, to `next_try_at`; negative when that is overdue.
    pub next_try_in_ms: Option<i64>,
    pub attempts: i32,
    pub crash_attempts: i32,
    pub token: Option<i64>,
    pub worker: Option<String>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub duration_ms: Option<i64>,
    pub result: Option<serde_json::Value>,
    pub error: Option<String>,
    pub why: Option<String>,
    /// While it runs.
    pub lease_until: Option<DateTime<Utc>>,
}

/// One job, with what its ledger says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    pub name: String,
    #[serde(flatten)]
    pub kind: Kind,
    pub scopes: String,
    /// Of a job whose scopes are listed.
    pub scope_list: Option<Vec<String>>,
    /// Of a job in code: whose it is, and when a program with its handler last started.
    pub application: Option<String>,
    pub registered_at: Option<DateTime<Utc>>,
    /// Distance of plan times; `None` for a job with a cron.
    pub cadence_ms: Option<i64>,
    pub cron: Option<String>,
    pub tz: Option<String>,
    /// When it runs, in words; what is wrong with it when nobody can say.
    pub schedule: String,
    pub schedule_delay_ms: i64,
    pub catch_up: String,
    pub catch_up_window_ms: i64,
    pub catch_up_cap: i32,
    pub overlap: String,
    pub timeout_ms: i64,
    pub backoff_ms: i64,
    pub max_attempts: i32,
    pub max_crashes: i32,
    pub paused_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// The next plan times, earliest first; none while paused.
    pub next_plan_times: Vec<DateTime<Utc>>,
    /// When something of it runs next: a plan that waits, else the next one. `None` while paused.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Milliseconds from now, by the database's clock, to `next_run_at`; negative when that is overdue.
    pub next_run_in_ms: Option<i64>,
    pub running: i64,
    pub waiting: i64,
    /// Failed and poisoned plans that are still on the ledger.
    pub failed: i64,
    pub last_done_at: Option<DateTime<Utc>>,
    /// Of the last run.
    pub last_started_at: Option<DateTime<Utc>>,
    pub last_took_ms: Option<i64>,
    pub last_state: Option<State>,
    /// Why it is as it is, where that is not plain: paused, failed, waiting for a worker.
    pub why: Option<String>,
}

/// Next plan times that are told.
const NEXT: usize = 5;

/// A plan that has waited longer than this waits for a worker that can run it.
const PATIENCE_MS: i64 = 60_000;

/// Plans, newest first, at most `most`.
///
/// # Errors
///
/// What the server says.
pub async fn plans(
    db: &impl Executor,
    job: Option<&str>,
    state: Option<State>,
    most: i32,
) -> Result<Vec<Plan>, SchedulerError> {
    let (job, state) = (job.map(str::to_owned), state.map(|state| state.word().to_owned()));
    let rows = db.query(include_str!("../../sql/scheduler/plans.sql"), &[&job, &state, &most]).await?;
    rows.iter().map(read).collect()
}

/// One plan.
///
/// # Errors
///
/// [`SchedulerError::UnknownPlan`].
pub async fn plan(db: &impl Executor, run: RunId) -> Result<Plan, SchedulerError> {
    let row = db.query_opt(include_str!("../../sql/scheduler/plan.sql"), &[&run.0]).await?;
    read(&row.ok_or(SchedulerError::UnknownPlan { run_id: run.0 })?)
}

/// Jobs by name; only one, if named.
///
/// # Errors
///
/// [`SchedulerError::UnknownJob`].
pub async fn jobs(db: &impl Executor, name: Option<&str>) -> Result<Vec<Job>, SchedulerError> {
    let rows = db.query(include_str!("../../sql/scheduler/jobs.sql"), &[&name.map(str::to_owned)]).await?;
    if let (true, Some(name)) = (rows.is_empty(), name) {
        return Err(SchedulerError::UnknownJob { name: name.to_owned() });
    }
    rows.iter().map(job).collect()
}

fn job(row: &Row) -> Result<Job, SchedulerError> {
    let now: DateTime<Utc> = row.get("now");
    let kind = Kind::of(row)?;
    let (cadence_ms, schedule_delay_ms): (Option<i64>, i64) =
        (row.get("cadence_ms"), row.get("schedule_delay_ms"));
    let (cron, tz): (Option<String>, Option<String>) = (row.get("cron"), row.get("tz"));
    let paused_at: Option<DateTime<Utc>> = row.get("paused_at");
    let timing = Timing::read(cadence_ms, cron.as_deref(), tz.as_deref());
    let delay = TimeDelta::milliseconds(schedule_delay_ms);
    let next_plan_times: Vec<DateTime<Utc>> = match &timing {
        Ok(timing) if paused_at.is_none() => {
            let first = timing.next(now - delay);
            std::iter::successors(first, |last| timing.next(*last)).take(NEXT).collect()
        }
        Ok(_) | Err(_) => Vec::new(),
    };
    let waiting_at: Option<DateTime<Utc>> = row.get("next_try_at");
    let next_run_at = match paused_at {
        None => waiting_at.or_else(|| next_plan_times.first().map(|next| *next + delay)),
        Some(_) => None,
    };
    let next_run_in_ms = next_run_at.map(|next| (next - now).num_milliseconds());
    let last_error: Option<String> = row.get("last_error");
    let why = if paused_at.is_some() {
        Some("paused".to_owned())
    } else if let Err(reason) = &timing {
        Some(reason.to_string())
    } else if next_run_in_ms.is_some_and(|left| left < -PATIENCE_MS) && row.get::<_, i64>("running") == 0 {
        Some(untaken(&kind).to_owned())
    } else {
        last_error
    };
    Ok(Job {
        name: row.get("name"),
        schedule: timing.map_or_else(|reason| reason.to_string(), |timing| timing.explain()),
        kind,
        scopes: row.get("scopes"),
        scope_list: row.get("scope_list"),
        application: row.get("application"),
        registered_at: row.get("registered_at"),
        cadence_ms,
        cron,
        tz,
        schedule_delay_ms,
        catch_up: row.get("catch_up"),
        catch_up_window_ms: row.get("catch_up_window_ms"),
        catch_up_cap: row.get("catch_up_cap"),
        overlap: row.get("overlap"),
        timeout_ms: row.get("timeout_ms"),
        backoff_ms: row.get("backoff_ms"),
        max_attempts: row.get("max_attempts"),
        max_crashes: row.get("max_crashes"),
        paused_at,
        created_at: row.get("created_at"),
        next_plan_times,
        next_run_at,
        next_run_in_ms,
        running: row.get("running"),
        waiting: row.get("waiting"),
        failed: row.get("failed"),
        last_done_at: row.get("last_done_at"),
        last_started_at: row.get("last_started_at"),
        last_took_ms: row.get("last_took_ms"),
        last_state: row.get::<_, Option<&str>>("last_state").map(State::read).transpose()?,
        why,
    })
}

/// Why a plan that is due may not be taken, by the kind of its job.
fn untaken(kind: &Kind) -> &'static str {
    match kind {
        Kind::Builtin | Kind::Sql { .. } => "waits: no worker takes it; is one running?",
        Kind::Command { .. } => "waits for a worker with --allow-commands",
        Kind::Code => "waits for a program that has its handler",
    }
}

fn read(row: &Row) -> Result<Plan, SchedulerError> {
    Ok(Plan {
        run_id: RunId(row.get("run_id")),
        job: row.get("job"),
        scope: row.get("scope"),
        plan_time: row.get("plan_time"),
        state: State::read(row.get("state"))?,
        next_try_at: row.get("next_try_at"),
        next_try_in_ms: row.get("next_try_in_ms"),
        attempts: row.get("attempts"),
        crash_attempts: row.get("crash_attempts"),
        token: row.get("token"),
        worker: row.get("worker"),
        created_at: row.get("created_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        duration_ms: row.get("duration_ms"),
        result: row.get("result"),
        error: row.get("error"),
        why: row.get("why"),
        lease_until: row.get("lease_until"),
    })
}
