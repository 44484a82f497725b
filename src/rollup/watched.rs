//! Watched tables of a rollup: joined tables whose changes move history between keys.
//!
//! A trigger on a watched table appends the changed key to `NAME_watch`, in the writer's own transaction. Which buckets
//! that touches is found out later, in a snapshot younger than the claim: the trigger could not see an event that
//! another transaction has inserted and not committed.

use super::error::RollupError;
use super::quote::{TableName, identifier};
use super::render::watch;
use super::shape::{SCHEMA, Shape};
use super::source::{self, Column};
use crate::db::{Executor, Tx};

/// One watched table, held against the catalog.
#[derive(Debug, Clone)]
pub struct Watched {
    /// From 1, in the definition's order: `NAME_watch.watch`.
    pub ordinal: i32,
    pub table: TableName,
    pub key: Column,
    /// Key and columns that are compared.
    pub columns: Vec<Column>,
    pub affects: String,
}

/// Looks the watched tables of a definition up, on the search path of the current transaction.
///
/// # Errors
///
/// [`RollupError::Misfit`] when a table or one of its columns does not exist.
pub(super) async fn find(
    db: &impl Executor,
    definition: &super::definition::Definition,
) -> Result<Vec<Watched>, RollupError> {
    let misfit = |reason: String| RollupError::Misfit { name: definition.name.clone(), reason };
    let mut found = Vec::with_capacity(definition.watch.len());
    for (ordinal, watch) in (1..).zip(&definition.watch) {
        let table = source::resolve(db, &definition.name, "watched table", &watch.table).await?;
        let columns = source::columns(db, &table.quoted()).await?;
        for wanted in watch.columns.iter().chain([&watch.key]) {
            if !columns.iter().any(|column| column.name == *wanted) {
                let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                return Err(misfit(format!(
                    "the watched table {table} has no column \"{wanted}\"; it has {}",
                    known.join(", ")
                )));
            }
        }
        let key = columns.iter().find(|column| column.name == watch.key).cloned();
        let key = key.ok_or_else(|| misfit(format!("the watched table {table} has no key")))?;
        let is_read = |column: &Column| column.name == watch.key || watch.columns.contains(&column.name);
        let columns = columns.into_iter().filter(is_read).collect();
        found.push(Watched { ordinal, table, key, columns, affects: watch.affects.clone() });
    }
    Ok(found)
}

/// Lets Postgres look at each `affects`: it must return tenant and time, of the source's types, and must find them by
/// an index of the source. The rollup's tables exist already.
///
/// # Errors
///
/// [`RollupError::Misfit`] with what is wrong.
pub(super) async fn prove(tx: &Tx<'_>, shape: &Shape) -> Result<(), RollupError> {
    let misfit = |reason: String| RollupError::Misfit { name: shape.definition.name.clone(), reason };
    for watched in &shape.watched {
        let table = &watched.table;
        let view = format!("{SCHEMA}.{}", identifier(&format!("{}_affects", shape.definition.name)));
        tx.batch(&format!("CREATE VIEW {view} AS {}", watch::affects(watched, &watch::no_key(watched))))
            .await
            .map_err(|error| misfit(format!("affects of the watched table {table} does not run: {error}")))?;
        let columns = source::columns(tx, &view).await?;
        tx.batch(&format!("DROP VIEW {view}")).await?;
        let is_time = |column: &&Column| column.name == shape.source.time;
        let wanted: Vec<&Column> =
            shape.source.tenant.iter().chain(shape.source.columns.iter().find(is_time)).collect();
        let is_wanted = columns.len() == wanted.len()
            && columns.iter().zip(&wanted).all(|(one, other)| one.base_type == other.base_type);
        if !is_wanted {
            let told = |columns: &mut dyn Iterator<Item = &Column>| {
                columns
                    .map(|column| format!("{} {}", column.name, column.base_type))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            return Err(misfit(format!(
                "affects of the watched table {table} must return ({}), it returns ({})",
                told(&mut wanted.into_iter()),
                told(&mut columns.iter())
            )));
        }
        require_index(tx, shape, watched).await?;
    }
    Ok(())
}

/// Without an index a single changed key would read the whole history.
async fn require_index(tx: &Tx<'_>, shape: &Shape, watched: &Watched) -> Result<(), RollupError> {
    tx.batch(ONLY_BY_INDEX).await?;
    let statement =
        format!("EXPLAIN (FORMAT JSON) {}", watch::affects(watched, &watch::marked_keys(shape, watched)));
    let row = tx.query_one(&statement, &[]).await?;
    tx.batch(ANY_PATH).await?;
    let plan: serde_json::Value = row.get(0);
    if reads_whole(&plan, &shape.source.relations) {
        return Err(RollupError::Misfit {
            name: shape.definition.name.clone(),
            reason: format!(
                "affects of the watched table {} would read all of {} for each changed key; create an index on the column \
                 of {} that it is joined by",
                watched.table, shape.source.table, shape.source.table
            ),
        });
    }
    Ok(())
}

/// The planner reads a whole table now only where it knows no other way.
const ONLY_BY_INDEX: &str =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
const ANY_PATH: &str = "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT";

/// Whether a plan has a node over one of the relations that no condition of an index narrows.
fn reads_whole(plan: &serde_json::Value, relations: &[TableName]) -> bool {
    match plan {
        serde_json::Value::Array(nodes) => nodes.iter().any(|node| reads_whole(node, relations)),
        serde_json::Value::Object(node) => {
            let text = |field: &str| node.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
            let is_source = relations.iter().any(|relation| relation.table == text("Relation Name"));
            let is_narrow = node.contains_key("Index Cond") || text("Node Type") == "Bitmap Heap Scan";
            (is_source && !is_narrow) || node.values().any(|inner| reads_whole(inner, relations))
        }
        _ => false,
    }
}

/// Remembers which tables a rollup watches.
pub(super) async fn remember(tx: &Tx<'_>, shape: &Shape) -> Result<(), RollupError> {
    for watched in &shape.watched {
        tx.query(
            include_str!("../../sql/rollup/insert_watch.sql"),
            &[&shape.definition.name.as_str(), &watched.ordinal, &watched.table.to_string()],
        )
        .await?;
    }
    Ok(())
}

/// The tables that a rollup watches, as the ledger names them.
pub(super) async fn tables(db: &impl Executor, name: &super::RollupName) -> Result<Vec<String>, RollupError> {
    let rows = db.query(include_str!("../../sql/rollup/watched_tables.sql"), &[&name.as_str()]).await?;
    Ok(rows.iter().map(|row| row.get("relation")).collect())
}

/// The triggers of one relation of a watched table.
pub(super) fn triggers(table: &TableName, relation: &TableName) -> String {
    watch::triggers(&watch::capture_function(table), relation)
}

/// Writes the capture function of a watched table anew from the rollups that watch it, and its triggers on every
/// relation. Without such a rollup left, both go.
pub(super) async fn install_capture(tx: &Tx<'_>, table: &TableName) -> Result<(), RollupError> {
    let function = watch::capture_function(table);
    tx.query(include_str!("../../sql/rollup/lock_capture.sql"), &[&function.to_string()]).await?;
    Ok(tx.batch(&capture_text(tx, table, None).await?).await?)
}

/// The statements that do so; `new` is a rollup that is not on the ledger yet, or is to be rendered in its place.
pub(super) async fn capture_text(
    tx: &Tx<'_>,
    table: &TableName,
    new: Option<&Shape>,
) -> Result<String, RollupError> {
    let function = watch::capture_function(table);
    let rows =
        tx.query(include_str!("../../sql/rollup/definitions_watching.sql"), &[&table.to_string()]).await?;
    let mut shapes = Vec::with_capacity(rows.len());
    for row in &rows {
        shapes.push(super::install::installed_shape(tx, row.get("definition")).await?);
    }
    if let Some(new) = new {
        shapes.retain(|one| one.definition.name != new.definition.name);
        let place = shapes.partition_point(|one| one.definition.name < new.definition.name);
        shapes.insert(place, new.clone());
    }
    if shapes.is_empty() {
        // The triggers go with the function they call.
        return Ok(format!("DROP FUNCTION IF EXISTS {}() CASCADE", function.quoted()));
    }
    let mut text = watch::capture(&function, table, &shapes);
    for relation in source::relations(tx, table).await? {
        text.push('\n');
        text.push_str(&triggers(table, &relation));
    }
    Ok(text)
}

/// The statements that remember which tables a rollup watches.
pub(super) fn remember_text(shape: &Shape) -> String {
    let literal = super::quote::literal;
    let one = |watched: &Watched| {
        let statement = include_str!("../../sql/rollup/insert_watch.sql").trim_end();
        let values = [
            literal(shape.definition.name.as_str()),
            watched.ordinal.to_string(),
            literal(&watched.table.to_string()),
        ];
        let filled = (1..).zip(values).fold(without_comments(statement), |text, (number, value)| {
            text.replace(&format!("${number}"), &value)
        });
        format!("{filled};\n")
    };
    shape.watched.iter().map(one).collect()
}

fn without_comments(statement: &str) -> String {
    statement.lines().filter(|line| !line.starts_with("--")).collect::<Vec<&str>>().join("\n")
}
