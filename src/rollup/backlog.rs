//! What waits to be drained, in numbers, for monitors that ask often.

use super::name::RollupName;
use super::render;
use crate::db::{DbError, Executor};

/// Open marks of one rollup.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    pub rollup: String,
    pub marks: i64,
    /// Age of the oldest; 0 when there is none.
    pub oldest_seconds: f64,
}

/// Counts the open marks of rollups, each named with whether it watches tables.
///
/// # Errors
///
/// What the server says; a rollup that was dropped meanwhile is an error of the server.
pub async fn read(db: &impl Executor, rollups: &[(RollupName, bool)]) -> Result<Vec<Backlog>, DbError> {
    if rollups.is_empty() {
        return Ok(Vec::new());
    }
    let statement = format!(
        "SELECT open.name, open.marks, \
                coalesce(extract(epoch FROM clock_timestamp() - open.oldest), 0)::float8 AS oldest_seconds \
           FROM ({}) AS open",
        render::open_marks(rollups.iter().map(|(name, has_watch)| (name, *has_watch)))
    );
    let rows = db.query(&statement, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Backlog {
            rollup: row.get("name"),
            marks: row.get("marks"),
            oldest_seconds: row.get::<_, f64>("oldest_seconds").max(0.0),
        })
        .collect())
}
