//! Watch: a rollup that is not kept current is a failed plan and a line in the log, not an empty chart.

use serde::Serialize;
use serde_json::json;
use tracing::warn;

use crate::db::{DbError, Executor};
use crate::scheduler::handler::{Context, ending};
use crate::scheduler::outcome::Outcome;

/// Behind by more than this, a rollup is late.
pub const LATE_SECONDS: f64 = 300.0;

/// Behind by more than this, it has stopped: not ready.
pub const STOPPED_SECONDS: f64 = 3600.0;

/// How far one rollup is behind its source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lag {
    pub rollup: String,
    /// Database clock minus watermark; of a rollup that was never counted minus its installation.
    pub lag_seconds: f64,
    pub slices_pending: i64,
    /// Rows that differed from the source when their month was last compared.
    pub drifted_rows: i64,
    /// Whether somebody has paused it, so that it may be behind.
    pub is_paused: bool,
    /// Whether it watches tables, which is no news to a reader.
    #[serde(skip)]
    pub has_watch: bool,
    pub last_error: Option<String>,
}

/// Reads how far all rollups are.
///
/// # Errors
///
/// What the server says.
pub async fn read(db: &impl Executor) -> Result<Vec<Lag>, DbError> {
    let rows = db.query(include_str!("../../../sql/scheduler/lag.sql"), &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Lag {
            rollup: row.get("name"),
            lag_seconds: row
                .get::<_, Option<f64>>("lag_seconds")
                .unwrap_or_else(|| row.get::<_, Option<f64>>("age_seconds").unwrap_or_default())
                .max(0.0),
            slices_pending: row.get("slices_pending"),
            drifted_rows: row.get("drifted_rows"),
            is_paused: row.get("is_paused"),
            has_watch: row.get("has_watch"),
            last_error: row.get("last_error"),
        })
        .collect())
}

/// Looks at all rollups.
pub async fn run(context: &Context) -> Outcome {
    let session = match context.sessions.take().await {
        Ok(session) => session,
        Err(error) => return ending(&error),
    };
    let lags = match read(&*session).await {
        Ok(lags) => lags,
        Err(error) => return ending(&error),
    };
    context.sessions.put(session).await;
    let late: Vec<String> = lags
        .iter()
        .filter(|lag| lag.lag_seconds > LATE_SECONDS && !lag.is_paused)
        .map(|lag| format!("{} is {:.0} s behind its source", lag.rollup, lag.lag_seconds))
        .collect();
    if late.is_empty() {
        return Outcome::Done(json!({"rollups": lags}));
    }
    let words = late.join("; ");
    warn!(rollups = late.len(), "{words}");
    Outcome::Failed(words)
}
