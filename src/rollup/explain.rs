//! Explain: what one number of a rollup comes of.
//!
//! In: a bucket, a tenant and a key. Out, in one snapshot: the row as stored, live and in the source, what is open over it, the
//! state of its month, and the source's rows that the query counts under that key, a page at a time.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::error::RollupError;
use super::install::{self, path_of, set_search_path};
use super::name::RollupName;
use super::render::explain::{self, Place};
use super::shape::Shape;
use crate::db::{DbError, Executor, Param, Session};

/// Which row, and how much of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Start of the bucket.
    pub bucket: DateTime<Utc>,
    /// Tenant, if the rollup has one, then the columns of `key`; `None` is NULL.
    pub values: Vec<Option<String>>,
    /// At most this many rows of the source; at least 1.
    pub limit: u32,
    /// [`Explanation::next`] of the page before.
    pub after: Option<String>,
}

/// What a row comes of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub rollup: String,
    pub source: String,
    pub bucket: DateTime<Utc>,
    /// The row as the table has it; `None` when it has none.
    pub stored: Option<Value>,
    /// The row as `NAME_live` has it.
    pub live: Option<Value>,
    /// The row as the source says now, what was pruned of it included.
    pub counted: Option<Value>,
    /// What its pruned events came to.
    pub baseline: Option<Value>,
    /// The row of its month in `rollup_slice`; `None` when the ledger does not know the month.
    pub slice: Option<Value>,
    /// Whether the ledger knows every month that has rows.
    pub is_counted: bool,
    /// Open marks of its bucket and tenant.
    pub marks: i64,
    pub oldest_mark_at: Option<DateTime<Utc>>,
    /// Open marks of ranges that hold its bucket.
    pub ranges: i64,
    pub oldest_range_at: Option<DateTime<Utc>>,
    /// Whether a changed key of a watched table, which waits for its expansion, touches the bucket.
    pub has_waiting_key: bool,
    pub watermark_at: Option<DateTime<Utc>>,
    pub drained_at: Option<DateTime<Utc>>,
    /// What a person should know of all this.
    pub notes: Vec<String>,
    /// Rows of the source in order of their time.
    pub events: Vec<Event>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

/// A row of the source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    pub event: Value,
    /// What the query makes of this row alone.
    pub adds: Value,
}

/// Explains one row.
///
/// # Errors
///
/// [`RollupError::Range`] for a bucket off the grain, too few or too many values, one that its column cannot hold, or a
/// cursor that is none; [`RollupError::Unknown`] for a rollup that is not there.
pub async fn run(
    session: &mut Session,
    name: &RollupName,
    query: &Query,
) -> Result<Explanation, RollupError> {
    let shape = install::load(session, name).await?;
    let place = place(&shape, query)?;
    let cursor = query.after.as_deref().map(Cursor::read).transpose()?;
    let tx = session.begin().await?;
    tx.batch(include_str!("../../sql/rollup/read_settings.sql")).await?;
    set_search_path(&tx, &path_of(&shape.definition)).await?;
    let mut params: Vec<&dyn Param> = vec![&query.bucket];
    params.extend(place.params().map(|value| value as &dyn Param));
    let row = tx.query_one(&explain::row(&shape, &place), &params).await.map_err(wrong_value)?;
    if let Some(cursor) = &cursor {
        params.extend([&cursor.time as &dyn Param, &cursor.table, &cursor.place]);
    }
    // One more than wanted tells whether there are more.
    let statement = explain::events(&shape, &place, cursor.is_some(), query.limit.saturating_add(1));
    let rows = tx.query(&statement, &params).await.map_err(wrong_value)?;
    tx.rollback().await?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let last = rows.get(limit.saturating_sub(1)).filter(|_| rows.len() > limit);
    let mut explanation = Explanation {
        rollup: name.to_string(),
        source: shape.source.table.to_string(),
        bucket: query.bucket,
        stored: row.get("stored"),
        live: row.get("live"),
        counted: row.get("counted"),
        baseline: row.get("baseline"),
        slice: row.get("slice"),
        is_counted: row.get("is_counted"),
        marks: row.get("marks"),
        oldest_mark_at: row.get("oldest_mark_at"),
        ranges: row.get("ranges"),
        oldest_range_at: row.get("oldest_range_at"),
        has_waiting_key: row.get("has_waiting_key"),
        watermark_at: row.get("watermark_at"),
        drained_at: row.get("drained_at"),
        notes: Vec::new(),
        next: last.map(|row| {
            Cursor { time: row.get("last_time"), table: row.get("last_table"), place: row.get("last_place") }
                .to_string()
        }),
        events: rows
            .iter()
            .take(limit)
            .map(|row| Event { event: row.get("event"), adds: row.get("adds") })
            .collect(),
    };
    explanation.notes = notes(&explanation, &shape);
    Ok(explanation)
}

/// The row that is meant.
fn place<'a>(shape: &'a Shape, query: &Query) -> Result<Place<'a>, RollupError> {
    let definition = &shape.definition;
    let name = &definition.name;
    if !definition.grain.is_boundary(query.bucket) {
        return Err(RollupError::Range(format!(
            "{} is not a bucket of rollup \"{name}\", whose grain is {}",
            query.bucket,
            definition.grain.words()
        )));
    }
    let tenant = definition.tenant.iter();
    let names: Vec<&String> = tenant.chain(&definition.key).collect();
    if names.len() != query.values.len() {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        let wanted = if names.is_empty() { "no value".to_owned() } else { names.join(", ") };
        return Err(RollupError::Range(format!(
            "a row of rollup \"{name}\" is told by its bucket and {wanted}; {} values were given (\\N stands for NULL)",
            query.values.len()
        )));
    }
    let column = |name: &String| shape.columns.iter().find(|column| column.name == *name);
    let columns = names.into_iter().filter_map(column);
    Ok(Place {
        values: columns.zip(query.values.iter().cloned()).collect(),
        has_tenant: definition.tenant.is_some(),
    })
}

/// A value that its column cannot hold is the caller's mistake.
fn wrong_value(error: DbError) -> RollupError {
    match error {
        // Class 22: data exceptions, such as invalid_text_representation.
        DbError::Server(error) if error.code.starts_with("22") => RollupError::Range(error.message),
        other => RollupError::Db(other),
    }
}

/// Where a page ends: time, table and place of its last row.
#[derive(Debug, PartialEq, Eq)]
struct Cursor {
    time: String,
    table: i64,
    place: String,
}

impl Cursor {
    fn read(text: &str) -> Result<Cursor, RollupError> {
        let mut parts = text.rsplitn(3, '/');
        let place = parts.next().unwrap_or_default().to_owned();
        match (parts.next().and_then(|table| table.parse().ok()), parts.next()) {
            (Some(table), Some(time)) => Ok(Cursor { time: time.to_owned(), table, place }),
            _ => Err(RollupError::Range(format!(
                "\"{text}\" is no place to go on from; take the one that the page before has named"
            ))),
        }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}/{}", self.time, self.table, self.place)
    }
}

fn notes(found: &Explanation, shape: &Shape) -> Vec<String> {
    let name = &shape.definition.name;
    let mut notes = Vec::new();
    let field = |field: &str| found.slice.as_ref().and_then(|slice| slice.get(field)).and_then(Value::as_str);
    let is_complete = field("state") == Some("complete");
    if let Some(at) = field("sealed_at") {
        let rows = if found.baseline.is_some() {
            "what they came to is the baseline"
        } else {
            "none of them was of this row"
        };
        notes.push(format!("the month is sealed since {at}: raw events of it are pruned, and {rows}"));
    }
    if found.slice.is_some() && !is_complete || !found.is_counted {
        notes.push(format!("the month is not backfilled: \"highwater backfill {name}\""));
    }
    let is_open = found.marks > 0 || found.ranges > 0 || found.has_waiting_key;
    if is_open {
        notes.push(format!(
            "something has changed that is not drained; \"highwater rollup drain {name}\" makes the stored row the live one"
        ));
    } else if is_complete && differs(found, shape) {
        notes.push(format!(
            "the stored row is not what the source says, though nothing is open: the rollup has drifted; \"highwater rollup verify {name} --repair\" makes it right"
        ));
    }
    if shape.has_having() {
        notes.push(
            "the query has HAVING, which is asked of each event alone here: some may be missing".to_owned(),
        );
    }
    notes
}

/// Whether the stored row differs from what the source says in anything that has to be the same.
fn differs(found: &Explanation, shape: &Shape) -> bool {
    let exact = |row: &Option<Value>| {
        row.clone().map(|mut row| {
            if let Some(fields) = row.as_object_mut() {
                fields.retain(|name, _| !shape.definition.tolerance.contains_key(name));
            }
            row
        })
    };
    exact(&found.stored) != exact(&found.counted)
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_cursor_is_what_was_printed() {
        let text = "2024-01-05 10:00:00.5+00/16385/(0,7)";
        let cursor = Cursor::read(text).unwrap();
        assert_eq!(
            (cursor.table, cursor.place.as_str(), cursor.to_string().as_str()),
            (16385, "(0,7)", text)
        );
        assert!(Cursor::read("next").is_err());
    }
}
