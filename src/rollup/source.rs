//! The source table as the catalog knows it.

use super::error::RollupError;
use super::name::RollupName;
use super::quote::TableName;
use crate::db::Executor;

/// One column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// With its modifier, as `format_type` prints it.
    pub type_name: String,
    /// Without its modifier: what a copy of the value is stored as, so that a wider source never overflows it.
    pub base_type: String,
    /// `pg_type.oid`.
    pub type_id: i64,
    /// Qualified and quoted; `None` when it is the type's own.
    pub collation: Option<String>,
    pub not_null: bool,
    /// `pg_type.typcategory`: `A` for arrays, `N` for numbers and so on.
    pub category: String,
}

/// What the time column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeKind {
    /// `timestamp with time zone`: an instant.
    Instant,
    /// `timestamp without time zone` or `date`, read as UTC.
    Utc { is_date: bool },
    /// `timestamp without time zone`, read in this zone.
    Zoned(String),
}

/// The source of a rollup.
#[derive(Debug, Clone)]
pub struct Source {
    pub table: TableName,
    pub columns: Vec<Column>,
    /// The table and every partition or inheriting table below it: where capture must stand.
    pub relations: Vec<TableName>,
    pub time: String,
    pub time_kind: TimeKind,
    pub tenant: Option<Column>,
}

/// Reads a relation's columns; empty when there is no such relation.
pub(super) async fn columns(db: &impl Executor, relation: &str) -> Result<Vec<Column>, RollupError> {
    let rows = db.query(include_str!("../../sql/rollup/columns.sql"), &[&relation]).await?;
    Ok(rows
        .iter()
        .map(|row| Column {
            name: row.get("name"),
            type_name: row.get("type"),
            base_type: row.get("base_type"),
            type_id: row.get("type_id"),
            collation: row.get("collation_name"),
            not_null: row.get("not_null"),
            category: row.get("category"),
        })
        .collect())
}

impl Source {
    /// Looks a definition's source up, on the search path of the current transaction.
    ///
    /// # Errors
    ///
    /// [`RollupError::Misfit`] when table, time or tenant column do not exist or are of a kind that cannot serve.
    pub async fn find(
        db: &impl Executor,
        definition: &super::definition::Definition,
    ) -> Result<Source, RollupError> {
        let name = &definition.name;
        let misfit = |reason: String| RollupError::Misfit { name: name.clone(), reason };
        let table = resolve(db, name, "source", &definition.source).await?;
        let columns = columns(db, &table.quoted()).await?;
        let column = |wanted: &str| {
            columns.iter().find(|column| column.name == wanted).ok_or_else(|| {
                let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                misfit(format!("{table} has no column \"{wanted}\"; it has {}", known.join(", ")))
            })
        };
        let time = column(&definition.time)?;
        let time_kind = match (time.type_name.as_str(), &definition.zone) {
            ("timestamp with time zone", None) => TimeKind::Instant,
            ("timestamp without time zone", Some(zone)) => TimeKind::Zoned(zone.clone()),
            ("timestamp without time zone", None) => TimeKind::Utc { is_date: false },
            ("date", None) => TimeKind::Utc { is_date: true },
            ("timestamp with time zone" | "date", Some(_)) => {
                return Err(misfit(format!(
                    "zone is for timestamp without time zone; \"{}\" is {}",
                    time.name, time.type_name
                )));
            }
            (other, _) => {
                return Err(misfit(format!(
                    "time column \"{}\" is {other}; it must be timestamp with time zone, timestamp or date",
                    time.name
                )));
            }
        };
        let tenant = match &definition.tenant {
            Some(tenant) => Some(column(tenant)?.clone()),
            None => None,
        };
        let relations = relations(db, &table).await?;
        Ok(Source { time: time.name.clone(), time_kind, tenant, relations, table, columns })
    }
}

/// Finds a table that can be captured, on the search path of the current transaction; `role` says in errors what it is.
pub(super) async fn resolve(
    db: &impl Executor,
    name: &RollupName,
    role: &str,
    written: &str,
) -> Result<TableName, RollupError> {
    let misfit = |reason: String| RollupError::Misfit { name: name.clone(), reason };
    let row = db
        .query_opt(include_str!("../../sql/rollup/resolve_table.sql"), &[&written])
        .await
        .map_err(|error| misfit(format!("{role} \"{written}\" is no table name: {error}")))?
        .ok_or_else(|| misfit(format!("there is no table \"{written}\"")))?;
    let table = TableName { schema: row.get("schema"), table: row.get("name") };
    match row.get::<_, String>("kind").as_str() {
        "r" | "p" => Ok(table),
        "f" => Err(misfit(format!(
            "{table} is a foreign table, which has no statement triggers with transition tables"
        ))),
        "v" | "m" => Err(misfit(format!("{table} is a view; name the table that is written to"))),
        _ => Err(misfit(format!("{table} is not a table"))),
    }
}

/// The table and every partition or inheriting table below it.
pub(super) async fn relations(db: &impl Executor, table: &TableName) -> Result<Vec<TableName>, RollupError> {
    let rows = db.query(include_str!("../../sql/rollup/leaves.sql"), &[&table.quoted()]).await?;
    Ok(rows.iter().map(|row| TableName { schema: row.get("schema"), table: row.get("name") }).collect())
}

/// Checks that a drain can find one bucket by an index.
///
/// # Errors
///
/// [`RollupError::NoIndex`] with the statement that would create one.
pub(super) async fn require_index(
    db: &impl Executor,
    name: &RollupName,
    source: &Source,
) -> Result<(), RollupError> {
    let tenant = source.tenant.as_ref().map(|column| column.name.clone());
    let row = db
        .query_one(
            include_str!("../../sql/rollup/has_drain_index.sql"),
            &[&source.table.quoted(), &source.time, &tenant],
        )
        .await?;
    if row.get("found") {
        return Ok(());
    }
    Err(RollupError::NoIndex {
        name: name.clone(),
        table: source.table.to_string(),
        wanted: match &tenant {
            Some(tenant) => format!("({tenant}, {}) or ({})", source.time, source.time),
            None => format!("({})", source.time),
        },
        statement: index_statement(source),
    })
}

/// The statement that builds the index a drain wants, without blocking writers.
pub(super) fn index_statement(source: &Source) -> String {
    let columns: Vec<String> = source
        .tenant
        .iter()
        .map(|column| &column.name)
        .chain([&source.time])
        .map(|name| super::quote::identifier(name))
        .collect();
    // CONCURRENTLY is not offered for a partitioned table: Postgres refuses it there.
    let concurrently = if source.relations.len() > 1 { "" } else { "CONCURRENTLY " };
    format!("CREATE INDEX {concurrently}ON {} ({})", source.table.quoted(), columns.join(", "))
}
