//! What the demonstration shows of its events and of the rollup.

use chrono::{DateTime, Utc};

use super::DemoError;
use crate::db::{Executor, Session};

/// What the events look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    pub events: i64,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub months: i64,
    pub repositories: i64,
    /// Recorded more than a day after they occurred.
    pub late: i64,
    pub in_root: i64,
}

/// One repository over the last twelve months of the data, from the rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub name: String,
    pub changes: i64,
    pub lines_added: i64,
    pub lines_deleted: i64,
    pub authors: i64,
    pub busiest_hour: DateTime<Utc>,
    pub busiest_changes: i64,
}

/// Source and rollup side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    pub events: i64,
    pub counted: i64,
    pub rows: i64,
    pub is_daily_gone: bool,
}

/// Looks at the events.
///
/// # Errors
///
/// What the server says.
pub async fn census(session: &Session) -> Result<Census, DemoError> {
    let row = session.query_one(include_str!("../../sql/demo/census.sql"), &[]).await?;
    Ok(Census {
        events: row.get("events"),
        first_at: row.get("first_at"),
        last_at: row.get("last_at"),
        months: row.get("months"),
        repositories: row.get("repositories"),
        late: row.get("late"),
        in_root: row.get("in_root"),
    })
}

/// Reads the busiest repositories from the rollup.
///
/// # Errors
///
/// What the server says.
pub async fn repositories(session: &Session) -> Result<Vec<Repository>, DemoError> {
    let rows = session.query(include_str!("../../sql/demo/numbers.sql"), &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Repository {
            name: row.get("repository"),
            changes: row.get("changes"),
            lines_added: row.get("lines_added"),
            lines_deleted: row.get("lines_deleted"),
            authors: row.get("authors"),
            busiest_hour: row.get("busiest_hour"),
            busiest_changes: row.get("busiest_changes"),
        })
        .collect())
}

/// Counts source and rollup.
///
/// # Errors
///
/// What the server says.
pub async fn totals(session: &Session) -> Result<Totals, DemoError> {
    let row = session.query_one(include_str!("../../sql/demo/totals.sql"), &[]).await?;
    Ok(Totals {
        events: row.get("events"),
        counted: row.get::<_, Option<i64>>("counted").unwrap_or_default(),
        rows: row.get("rows"),
        is_daily_gone: row.get("is_daily_gone"),
    })
}
