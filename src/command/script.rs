//! `highwater rollup sql`: everything that a rollup consists of, as SQL.

use std::path::Path;

use serde_json::json;

use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::db::connect;
use crate::ground::exit::Exit;
use crate::rollup::definition::Definition;
use crate::rollup::status::SCHEMA_VERSION;
use crate::rollup::{RollupName, UsageError, script};

/// Print the SQL that installs a rollup, to read it or to run it by hand
///
/// The database is asked about the source and stays as it is. What is printed is one transaction for psql.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  highwater rollup sql rollups/orders.toml > orders.sql && psql -v ON_ERROR_STOP=1 -f orders.sql
  highwater rollup sql orders_hourly")]
pub struct Args {
    /// An installed rollup, or a definition file
    #[arg(value_name = "NAME|FILE")]
    of: String,
}

/// Runs the command.
///
/// # Errors
///
/// What reading the file, connecting and the engine say.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let target = global.target().await?;
    let mut session = connect::connect(&target, "rollup sql").await?;
    // No rollup's name has a dot or a slash.
    let (name, sql) = match RollupName::parse(&args.of) {
        Ok(name) => {
            let sql = script::of_installed(&mut session, &name).await?;
            (name, sql)
        }
        Err(_) => {
            let definition = read(Path::new(&args.of))?;
            let sql = script::of_definition(&mut session, &definition).await?;
            (definition.name, sql)
        }
    };
    match global.format {
        Format::Json => {
            say!("{}", json!({"schema_version": SCHEMA_VERSION, "rollup": name.as_str(), "sql": sql}))
        }
        Format::Text => say!("{}", sql.trim_end()),
    }
    Ok(Exit::Done)
}

/// Reads a definition file.
///
/// # Errors
///
/// [`UsageError`] when there is none, and what is wrong with it.
pub fn read(file: &Path) -> anyhow::Result<Definition> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| UsageError(format!("cannot read {}: {error}", file.display())))?;
    Ok(Definition::parse(&text, &file.display().to_string())?)
}
