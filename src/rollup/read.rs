//! Reading a rollup in a viewer's zone: hours, days, weeks and months as clocks there show them.
//!
//! In: a range, a zone and a step. Out: one row for each local period and group. Buckets that lie in two periods are
//! computed from the source, so that a local day is exact where the offset is no multiple of the grain, and on the days
//! when clocks change. Looking whether the table is clean and reading it happen in one snapshot.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::definition::Grain;
use super::error::RollupError;
use super::install::{self, path_of, set_search_path};
use super::measure::{self, Given, Value};
use super::name::RollupName;
use super::render::read::{self, Reading, Tenants};
use super::shape::Shape;
use crate::db::{DbError, Executor, Param, Session, Tx};

/// Length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
}

impl Step {
    /// As `date_trunc` names it.
    pub fn unit(self) -> &'static str {
        match self {
            Step::Hour => "hour",
            Step::Day => "day",
            Step::Week => "week",
            Step::Month => "month",
        }
    }
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Instant(DateTime<Utc>),
    /// What clocks in the viewer's zone show.
    Local(NaiveDateTime),
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Inclusive.
    pub from: Edge,
    /// Exclusive.
    pub to: Edge,
    /// An IANA name that the database knows.
    pub zone: String,
    pub step: Step,
    /// Columns to group by: tenant or key; none adds everything up.
    pub by: Vec<String>,
    /// Measures; none stands for all.
    pub measures: Vec<String>,
    /// This tenant only.
    pub tenant: Option<String>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `local_start`, then `by`, then the measures.
    pub columns: Vec<String>,
    /// Values as Postgres writes them; `None` is NULL. Periods without rows are not there.
    pub rows: Vec<Vec<Option<String>>>,
    /// The same rows, each as a JSON object.
    pub documents: Vec<String>,
    /// Whether the table alone was read.
    pub was_clean: bool,
}

/// Reads a rollup.
///
/// # Errors
///
/// [`RollupError::Range`] for an unknown zone, an unknown column, an empty range, or a measure that cannot be combined.
pub async fn read(session: &mut Session, name: &RollupName, query: &Query) -> Result<Table, RollupError> {
    let shape = install::load(session, name).await?;
    check_columns(&shape, query)?;
    let measures = measure::wanted(&shape, &query.measures)
        .map_err(|reason| RollupError::Range(format!("rollup \"{name}\" {reason}")))?;
    let tx = session.begin().await?;
    tx.batch(include_str!("../../sql/rollup/read_settings.sql")).await?;
    // The definition's query is part of the statement where buckets are cut.
    set_search_path(&tx, &path_of(&shape.definition)).await?;
    let (from, to) = range(&tx, query).await?;
    let is_single = match measures.iter().find_map(single_reason) {
        Some(reason) => {
            require_single(&tx, &shape, query, (from, to), reason).await?;
            true
        }
        None => false,
    };
    let clean = tx.query_one(&read::is_clean(&shape), &[&from, &to]).await?;
    let indexed = tx
        .query_one(
            include_str!("../../sql/rollup/leads_an_index.sql"),
            &[&shape.source.table.quoted(), &shape.source.time],
        )
        .await?;
    let reading = Reading {
        by: &query.by,
        measures: &measures,
        is_single,
        tenants: if query.tenant.is_some() { Tenants::One } else { Tenants::All },
        is_clean: clean.get("is_clean"),
        by_index: query.tenant.is_some() || indexed.get("found"),
    };
    let unit = query.step.unit();
    let mut params: Vec<&dyn Param> = vec![&from, &to, &query.zone, &unit];
    if let Some(tenant) = &query.tenant {
        params.push(tenant);
    }
    let columns: Vec<String> = ["local_start".to_owned()]
        .into_iter()
        .chain(query.by.iter().cloned())
        .chain(measures.iter().map(|given| given.name.clone()))
        .collect();
    let statement = format!(
        "SELECT ARRAY[{}] AS cells, row_to_json(r)::text AS document FROM (\n{}\n) AS r",
        columns
            .iter()
            .map(|name| format!("r.{}::text", super::quote::identifier(name)))
            .collect::<Vec<String>>()
            .join(", "),
        read::read(&shape, &reading)
    );
    let rows = tx.query(&statement, &params).await?;
    tx.rollback().await?;
    Ok(Table {
        columns,
        rows: rows.iter().map(|row| row.get("cells")).collect(),
        documents: rows.iter().map(|row| row.get("document")).collect(),
        was_clean: reading.is_clean,
    })
}

fn check_columns(shape: &Shape, query: &Query) -> Result<(), RollupError> {
    let definition = &shape.definition;
    let known: Vec<&String> = definition.tenant.iter().chain(&definition.key).collect();
    if let Some(unknown) = query.by.iter().find(|name| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
        return Err(RollupError::Range(format!(
            "rollup \"{}\" has no key column \"{unknown}\"; it has {}",
            definition.name,
            known.join(", ")
        )));
    }
    if query.tenant.is_some() && definition.tenant.is_none() {
        return Err(RollupError::Range(format!("rollup \"{}\" has no tenants", definition.name)));
    }
    Ok(())
}

/// Why a measure cannot be put together; `None` when it can.
fn single_reason(given: &Given) -> Option<&str> {
    match &given.value {
        Value::Single(reason) => Some(reason),
        Value::Combined(_) | Value::Derived(_) => None,
    }
}

/// A measure that cannot be put together is read where each answer is one row of the rollup. That is told from what is
/// asked and not from what is found, so that a read does not fail on some days only.
async fn require_single(
    tx: &Tx<'_>,
    shape: &Shape,
    query: &Query,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    reason: &str,
) -> Result<(), RollupError> {
    let definition = &shape.definition;
    let refused = |why: String| {
        Err(RollupError::Range(format!(
            "rollup \"{}\": {reason}; {why}, or name other measures with --measure",
            definition.name
        )))
    };
    let tenant = definition.tenant.iter().filter(|_| query.tenant.is_none());
    let missing: Vec<&str> =
        tenant.chain(&definition.key).filter(|name| !query.by.contains(name)).map(String::as_str).collect();
    if !missing.is_empty() {
        return refused(format!(
            "rows of several keys would be put together: group by {} too",
            missing.join(", ")
        ));
    }
    let is_longer = match definition.grain {
        Grain::QuarterHour | Grain::HalfHour => true,
        Grain::Hour => query.step != Step::Hour,
        Grain::Day => !matches!(query.step, Step::Hour | Step::Day),
    };
    let unit = query.step.unit();
    if is_longer {
        return refused(format!(
            "a {unit} holds several buckets of {}: take a shorter --step, or table {} for single buckets",
            definition.grain.words(),
            shape.target
        ));
    }
    let row = tx.query_one(&read::shared(shape), &[&from, &to, &query.zone, &unit]).await?;
    match row.get::<_, Option<NaiveDateTime>>("period") {
        Some(period) => refused(format!(
            "the {unit} from {period} in {} holds parts of several buckets: read in another zone, or around it",
            query.zone
        )),
        None => Ok(()),
    }
}

async fn range(db: &impl Executor, query: &Query) -> Result<(DateTime<Utc>, DateTime<Utc>), RollupError> {
    let instant = |edge: Edge| if let Edge::Instant(at) = edge { Some(at) } else { None };
    let local = |edge: Edge| if let Edge::Local(at) = edge { Some(at.to_string()) } else { None };
    let (from, from_local, to, to_local) =
        (instant(query.from), local(query.from), instant(query.to), local(query.to));
    let statement = include_str!("../../sql/rollup/read_range.sql");
    let found = db.query_one(statement, &[&from, &from_local, &to, &to_local, &query.zone]).await;
    let row = match found {
        Err(DbError::Server(error)) if error.code == UNKNOWN_ZONE => {
            return Err(RollupError::Range(error.message));
        }
        other => other?,
    };
    let (from, to): (DateTime<Utc>, DateTime<Utc>) = (row.get("from_at"), row.get("to_at"));
    if from >= to {
        return Err(RollupError::Range(format!("the range from {from} to {to} is empty")));
    }
    Ok((from, to))
}

/// SQLSTATE of a zone that Postgres does not know.
const UNKNOWN_ZONE: &str = "22023";
