//! Sweep: takes leases away from workers that have gone quiet.

use chrono::{DateTime, Utc};

use super::SchedulerError;
use super::lease::RunId;
use super::state::State;
use crate::db::Executor;

/// A run whose lease was taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    pub run: RunId,
    pub job: String,
    pub scope: String,
    pub plan_time: DateTime<Utc>,
    /// [`State::Retrying`] or [`State::Poisoned`].
    pub state: State,
    pub crash_attempts: i32,
    /// Who went quiet.
    pub worker: String,
}

/// Takes at most 100 leases that have run out by the database's clock; their plans may be claimed again.
///
/// # Errors
///
/// What the server says.
pub async fn sweep(db: &impl Executor) -> Result<Vec<Swept>, SchedulerError> {
    let rows = db.query(include_str!("../../sql/scheduler/sweep.sql"), &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Swept {
                run: RunId(row.get("run_id")),
                job: row.get("job"),
                scope: row.get("scope"),
                plan_time: row.get("plan_time"),
                state: State::read(row.get("state"))?,
                crash_attempts: row.get("crash_attempts"),
                worker: row.get::<_, Option<String>>("worker").unwrap_or_default(),
            })
        })
        .collect()
}
