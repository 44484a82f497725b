//! A definition held against the database: which columns there are, and which role each plays.

use super::combine;
use super::definition::Definition;
use super::error::RollupError;
use super::measure;
use super::quote::{TableName, identifier};
use super::render;
use super::source::{self, Column, Source};
use super::watched::{self, Watched};
use crate::db::Executor;

/// Schema of everything that highwater makes.
pub const SCHEMA: &str = "highwater";

/// Longest name of a target table: with `_2026_03` its partitions have the 63 bytes that Postgres keeps.
pub(super) const MAX_TARGET_LENGTH: usize = 55;

/// Everything that rendering needs to know.
#[derive(Debug, Clone)]
pub struct Shape {
    pub definition: Definition,
    pub source: Source,
    pub target: TableName,
    /// The target's columns in order.
    pub columns: Vec<Column>,
    /// Joined tables whose changes move history.
    pub watched: Vec<Watched>,
}

impl Shape {
    /// Finds the shape of a definition that is not installed yet, by asking Postgres for the query's columns.
    ///
    /// The caller's transaction must have the definition's search path and be rolled back on an error.
    ///
    /// # Errors
    ///
    /// [`RollupError::Misfit`] when the query does not run or lacks a column that the definition names.
    pub async fn discover(db: &impl Executor, definition: &Definition) -> Result<Shape, RollupError> {
        let source = Source::find(db, definition).await?;
        let misfit = |reason: String| RollupError::Misfit { name: definition.name.clone(), reason };
        require_extensions(db, definition).await?;
        let view = format!("{SCHEMA}.{}", identifier(&format!("{}_shape", definition.name)));
        let query = render::whole_query(definition, &source);
        db.batch(&format!("CREATE VIEW {view} AS {query}"))
            .await
            .map_err(|error| misfit(format!("the query does not run: {error}")))?;
        let columns = source::columns(db, &view).await?;
        db.batch(&format!("DROP VIEW {view}")).await?;
        let watched = watched::find(db, definition).await?;
        let shape =
            Shape { target: target(definition), definition: definition.clone(), source, columns, watched };
        shape.check()?;
        Ok(shape)
    }

    /// Finds the shape of an installed rollup from its target.
    ///
    /// # Errors
    ///
    /// [`RollupError::Misfit`] when source or target have changed so that they do not fit any more.
    pub async fn installed(db: &impl Executor, definition: &Definition) -> Result<Shape, RollupError> {
        let source = Source::find(db, definition).await?;
        let target = target(definition);
        let columns = source::columns(db, &target.quoted()).await?;
        let watched = watched::find(db, definition).await?;
        let shape = Shape { target, definition: definition.clone(), source, columns, watched };
        shape.check()?;
        Ok(shape)
    }

    fn check(&self) -> Result<(), RollupError> {
        let definition = &self.definition;
        let misfit = |reason: String| RollupError::Misfit { name: definition.name.clone(), reason };
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        for wanted in definition
            .tenant
            .iter()
            .map(String::as_str)
            .chain(["bucket"])
            .chain(definition.key.iter().map(String::as_str))
        {
            if !names.contains(&wanted) {
                return Err(misfit(format!(
                    "the query returns no column \"{wanted}\"; it returns {}",
                    names.join(", ")
                )));
            }
        }
        if self.target.table.len() > MAX_TARGET_LENGTH {
            return Err(misfit(format!(
                "target \"{}\" is too long: its partitions are named after it, which leaves {MAX_TARGET_LENGTH} bytes",
                self.target.table
            )));
        }
        for column in self.keys() {
            if column.category == "A" {
                return Err(misfit(format!(
                    "key column \"{}\" is an array, which cannot be part of a key",
                    column.name
                )));
            }
        }
        for column in self.measures() {
            let is_declared = definition.tolerance.contains_key(&column.name);
            let is_float = matches!(column.type_name.as_str(), "real" | "double precision");
            if !is_declared && is_float {
                return Err(misfit(format!(
                    "measure \"{0}\" is {1}, whose sum depends on the order of the rows; cast it to numeric, or declare \
                     how far two runs may differ: [tolerance] {0} = 1e-9 (0 if it is exact, as min and max are)",
                    column.name, column.type_name
                )));
            }
            if !is_declared && (column.category == "A" || is_collected(&column.type_name, &definition.query))
            {
                return Err(misfit(format!(
                    "measure \"{0}\" is {1} and the query collects values without ORDER BY, so that two runs may differ; \
                     order the aggregate and declare it: [tolerance] {0} = 0",
                    column.name, column.type_name
                )));
            }
        }
        for declared in definition.tolerance.keys() {
            if !self.measures().any(|column| column.name == *declared) {
                return Err(misfit(format!(
                    "tolerance names \"{declared}\", which is no measure of the query"
                )));
            }
        }
        measure::check(self).map_err(misfit)?;
        self.check_merging()?;
        for wanted in definition.index.iter().flatten() {
            if !names.contains(&wanted.as_str()) {
                return Err(misfit(format!("index names \"{wanted}\", which the query does not return")));
            }
        }
        Ok(())
    }

    /// With `keep_source` the parts of one bucket are put together, so that every measure must say how.
    fn check_merging(&self) -> Result<(), RollupError> {
        let definition = &self.definition;
        let Some(keep) = definition.keep_source else { return Ok(()) };
        let misfit = |reason: String| RollupError::Misfit {
            name: definition.name.clone(),
            reason: format!("keep_source = \"{keep}\" merges what was pruned with what came later: {reason}"),
        };
        if let Some(reason) = self.measures().find_map(|measure| combine::aggregate(self, measure).err()) {
            return Err(misfit(reason));
        }
        if self.has_having() {
            return Err(misfit(
                "a query with HAVING would leave out groups that are only together large enough".to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether the query leaves out groups, as far as its words tell.
    pub fn has_having(&self) -> bool {
        let query = self.definition.query.to_ascii_lowercase();
        query.split(|one: char| !one.is_alphanumeric()).any(|word| word == "having")
    }

    /// Columns of `key`, in the definition's order; tenant and bucket are not among them.
    pub fn keys(&self) -> impl Iterator<Item = &Column> {
        self.definition.key.iter().filter_map(|name| self.columns.iter().find(|column| column.name == *name))
    }

    /// Every column that is neither tenant, bucket nor key.
    pub fn measures(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| {
            column.name != "bucket"
                && self.definition.tenant.as_ref() != Some(&column.name)
                && !self.definition.key.contains(&column.name)
        })
    }
}

/// Sketches are types of extensions: a missing one is told by its name, and not by that of a function.
async fn require_extensions(db: &impl Executor, definition: &Definition) -> Result<(), RollupError> {
    let misfit = |reason: String| RollupError::Misfit { name: definition.name.clone(), reason };
    for (measure, combine) in &definition.combine {
        let Some(extension) = combine.extension() else { continue };
        let statement = include_str!("../../sql/rollup/has_extension.sql");
        let row = db.query_opt(statement, &[&extension]).await?;
        let Some(row) = row else {
            return Err(misfit(format!(
                "the sketch \"{measure}\" needs the extension {extension}, which this database does not have: CREATE EXTENSION \
                 {extension}, or count exactly and declare [measure.{measure}] additive = false"
            )));
        };
        if !row.get::<_, bool>("is_on_path") {
            let schema: String = row.get("schema");
            return Err(misfit(format!(
                "the sketch \"{measure}\" needs the extension {extension}, which is in schema {schema}: put that on search_path"
            )));
        }
    }
    Ok(())
}

/// Words of aggregates whose result depends on the order of their input unless they say ORDER BY.
const COLLECTING: [&str; 7] =
    ["array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "xmlagg"];

fn is_collected(type_name: &str, query: &str) -> bool {
    let query = query.to_ascii_lowercase();
    matches!(type_name, "text" | "json" | "jsonb" | "xml" | "bytea")
        && COLLECTING.iter().any(|word| query.contains(word))
        && !query.contains("order by")
}

/// Where a definition's rows go.
pub(super) fn target(definition: &Definition) -> TableName {
    match definition.target.as_deref().and_then(|written| written.split_once('.')) {
        Some((schema, table)) => TableName { schema: schema.to_owned(), table: table.to_owned() },
        None => TableName {
            schema: SCHEMA.to_owned(),
            table: definition.target.clone().unwrap_or_else(|| definition.name.to_string()),
        },
    }
}
