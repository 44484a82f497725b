//! Claim: takes due plans under leases, a batch at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::debug;

use super::SchedulerError;
use super::job::Kind;
use super::lease::{self, RunId, Token};
use crate::db::{DbError, Executor, Row};

/// Most plans of one claim: enough to spread its cost, few enough that a batch is begun long before its leases age.
pub const MOST: usize = 100;

/// The literal in the statement; a parameter would cost a plan that expects a tenth of the table.
const LIMIT: &str = "LIMIT 100";

/// Tries of one claim when another claimer saw the scopes differently.
const TRIES: u32 = 3;

/// Who claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// For people: host, process and incarnation.
    pub name: String,
    /// New at every start, so that a process never takes its predecessor's runs for its own.
    pub incarnation: String,
}

impl Identity {
    /// A new identity; only its incarnation comes from the database.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn new(db: &impl Executor, host: &str) -> Result<Identity, SchedulerError> {
        let row = db.query_one(include_str!("../../sql/scheduler/incarnation.sql"), &[]).await?;
        let incarnation: String = row.get("incarnation");
        let short = incarnation.split('-').next().unwrap_or_default();
        Ok(Identity { name: format!("{host}/{}/{short}", std::process::id()), incarnation })
    }
}

/// A plan that is to run now, under a lease of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub run: RunId,
    pub token: Token,
    pub job: String,
    pub scope: String,
    pub kind: Kind,
    pub plan_time: DateTime<Utc>,
    /// The database's clock at the claim.
    pub now: DateTime<Utc>,
    /// This one included.
    pub attempts: i32,
    pub crash_attempts: i32,
    pub timeout: Duration,
    /// Zero for a job with a cron.
    pub cadence: Duration,
}

/// Claims up to `room` due plans of jobs that one of the given runners can run, longest due first.
///
/// Of a job that forbids overlap a scope's oldest waiting plan is claimed, and only while none of that scope runs.
/// Fewer than `room` means that no more can be claimed now.
///
/// # Errors
///
/// What the server says; then nothing was claimed, unless the connection broke, and then the leases run out unused.
pub async fn claim(
    db: &impl Executor,
    identity: &Identity,
    runners: &[impl AsRef<str> + Sync],
    room: usize,
) -> Result<Vec<Claimed>, SchedulerError> {
    let room = room.min(MOST);
    if room == 0 {
        return Ok(Vec::new());
    }
    let statement = include_str!("../../sql/scheduler/claim.sql").replace(LIMIT, &format!("LIMIT {room}"));
    let runners: Vec<String> = runners.iter().map(|runner| runner.as_ref().to_owned()).collect();
    for _ in 0..TRIES {
        let claimed = db
            .query(&statement, &[&identity.name, &identity.incarnation, &lease::length_ms(), &runners])
            .await;
        match claimed {
            Ok(rows) => return rows.iter().map(read).collect(),
            Err(DbError::Constraint(error)) if error.constraint.as_deref() == Some("plan_one_running") => {
                debug!("another worker was faster with a scope; claiming again");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Vec::new())
}

fn read(row: &Row) -> Result<Claimed, SchedulerError> {
    let span = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    Ok(Claimed {
        run: RunId(row.get("run_id")),
        token: Token(row.get("token")),
        job: row.get("job"),
        scope: row.get("scope"),
        kind: Kind::of(row)?,
        plan_time: row.get("plan_time"),
        now: row.get("now"),
        attempts: row.get("attempts"),
        crash_attempts: row.get("crash_attempts"),
        timeout: span(row.get("timeout_ms")),
        cadence: row.get::<_, Option<i64>>("cadence_ms").map(span).unwrap_or_default(),
    })
}
