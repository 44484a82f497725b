//! The history table: refinery's format, read without its panics and written with the database's clock.
//!
//! A stock refinery can read what is written here, and a table that a stock refinery made, int4 versions included,
//! is read and continued.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::scope::{HistoryTable, quoted};
use crate::db::{DbError, Executor, Row};

const SHAPE: &str = include_str!("../../sql/migrate/history_shape.sql");
const READ: &str = include_str!("../../sql/migrate/history_read.sql");
const SCHEMA_EXISTS: &str = include_str!("../../sql/migrate/history_schema_exists.sql");
const SCHEMA: &str = include_str!("../../sql/migrate/history_schema.sql");
const CREATE: &str = include_str!("../../sql/migrate/history_create.sql");
const RECORD: &str = include_str!("../../sql/migrate/history_record.sql");

/// What a history table says.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// By version.
    pub applied: Vec<Applied>,
    /// Rows that someone edited into something that no program wrote.
    pub broken: Vec<Broken>,
    /// Highest version that the table's column can hold.
    pub widest: Option<i64>,
}

/// One applied version.
#[derive(Debug, Clone)]
pub struct Applied {
    pub version: i64,
    pub name: String,
    pub applied_on: OffsetDateTime,
    pub checksum: u64,
}

/// A row that cannot be read.
#[derive(Debug, Clone)]
pub struct Broken {
    pub version: Option<i64>,
    pub fault: String,
}

impl History {
    /// The newest applied version.
    pub fn newest(&self) -> Option<i64> {
        self.applied.last().map(|applied| applied.version)
    }

    /// Whether a version is recorded, readable or not.
    pub fn holds(&self, version: i64) -> bool {
        self.applied.iter().any(|applied| applied.version == version)
            || self.broken.iter().any(|broken| broken.version == Some(version))
    }
}

/// Reads the table; one that is not there reads as empty.
pub async fn read(session: &impl Executor, table: &HistoryTable) -> Result<History, DbError> {
    let Some(shape) = session.query_opt(SHAPE, &[&table.to_string()]).await? else {
        return Ok(History::default());
    };
    let widest = match shape.try_get::<_, &str>("version_type")? {
        "smallint" => i64::from(i16::MAX),
        "integer" => i64::from(i32::MAX),
        _ => i64::MAX,
    };
    let mut history = rows(session.query(&read_statement(&table.to_string()), &[]).await?)?;
    history.widest = Some(widest);
    Ok(history)
}

/// The statement whose result [`rows`] understands; `table` is quoted and qualified.
pub fn read_statement(table: &str) -> String {
    READ.replace("{history}", table)
}

/// Sorts rows into readable and broken ones.
pub fn rows(rows: Vec<Row>) -> Result<History, DbError> {
    let mut history = History::default();
    for row in rows {
        let version: Option<i64> = row.try_get("version")?;
        let texts = [row.try_get("name")?, row.try_get("applied_on")?, row.try_get("checksum")?];
        match applied(version, texts) {
            Ok(applied) => history.applied.push(applied),
            Err(fault) => history.broken.push(Broken { version, fault }),
        }
    }
    Ok(history)
}

fn applied(version: Option<i64>, texts: [Option<String>; 3]) -> Result<Applied, String> {
    let [name, applied_on, checksum] = texts;
    let applied_on = applied_on.ok_or("applied_on is NULL")?;
    let checksum = checksum.ok_or("checksum is NULL")?;
    Ok(Applied {
        version: version.ok_or("version is NULL")?,
        name: name.ok_or("name is NULL")?,
        applied_on: OffsetDateTime::parse(&applied_on, &Rfc3339).map_err(|_| {
            format!("applied_on \"{applied_on}\" is no RFC 3339 time such as 2026-01-31T12:00:00Z")
        })?,
        checksum: checksum.parse().map_err(|_| format!("checksum \"{checksum}\" is no unsigned number"))?,
    })
}

/// Makes the table, and its schema, where they are missing. Only the holder of the run's lock calls this.
pub async fn create(session: &impl Executor, table: &HistoryTable) -> Result<(), DbError> {
    if session.query_opt(SHAPE, &[&table.to_string()]).await?.is_some() {
        return Ok(());
    }
    // IF NOT EXISTS still asks for CREATE on the database, which a role whose schema was made for it may lack.
    let schema = quoted(&table.schema);
    if !session.query_one(SCHEMA_EXISTS, &[&schema]).await?.try_get::<_, bool>("present")? {
        session.batch(&SCHEMA.replace("{schema}", &schema)).await?;
    }
    session.batch(&table.fill(CREATE)).await
}

/// Records a version as applied now, by the database's clock.
pub async fn record(
    session: &impl Executor,
    table: &HistoryTable,
    version: i64,
    name: &str,
    checksum: u64,
) -> Result<(), DbError> {
    session.query(&table.fill(RECORD), &[&version, &name, &checksum.to_string()]).await?;
    Ok(())
}
