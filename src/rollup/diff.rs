//! How a definition file differs from what is installed under its name, and what it takes to get there.

use std::collections::BTreeSet;

use serde::Serialize;

use super::definition::Definition;
use super::error::RollupError;
use super::install::{self, path_of, set_search_path};
use super::name::RollupName;
use super::shape::Shape;
use crate::db::Session;

/// Keys of a definition that say nothing of what is counted: they change in place.
const IN_PLACE: [&str; 5] = ["combine", "index", "keep", "measure", "tolerance"];

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// A key of the definition, or `column NAME`.
    pub what: String,
    /// As installed; `None` when it is not there.
    pub installed: Option<String>,
    /// As the file has it.
    pub file: Option<String>,
}

/// What it takes to bring what is installed to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Nothing: they are the same, byte for byte.
    None,
    /// Comments and layout of the text differ, and nothing that it says.
    Text,
    /// Indexes, or how measures are compared and combined.
    InPlace,
    /// Other rows: they are built beside.
    Rebuild,
}

/// A file held against what is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub rollup: String,
    pub change: Change,
    pub differences: Vec<Difference>,
}

/// Compares a file with the rollup of its name. Of the database only the columns of the query are asked; it stays as it is.
///
/// # Errors
///
/// [`RollupError::Unknown`] when nothing is installed under that name, [`RollupError::Misfit`] when the file does not fit
/// the database.
pub async fn compare(session: &mut Session, file: &Definition) -> Result<Comparison, RollupError> {
    let name = &file.name;
    let installed =
        Definition::parse(&install::entry(&*session, name).await?.definition, "in highwater.rollup")?;
    let before = installed_columns(session, name).await?;
    let tx = session.begin().await?;
    set_search_path(&tx, &path_of(file)).await?;
    let after = Shape::discover(&tx, file).await;
    tx.rollback().await?;
    let after = columns(&after?);
    let mut differences = keys(&installed, file)?;
    let names: BTreeSet<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
    let type_in = |columns: &[(String, String)], wanted: &str| {
        columns.iter().find(|(name, _)| name == wanted).map(|(_, type_name)| type_name.clone())
    };
    differences.extend(names.into_iter().filter_map(|column| {
        let (installed, file) = (type_in(&before, column), type_in(&after, column));
        (installed != file).then(|| Difference { what: format!("column {column}"), installed, file })
    }));
    let change = if installed.text == file.text && differences.is_empty() {
        Change::None
    } else if differences.is_empty() {
        Change::Text
    } else if differences.iter().all(|difference| IN_PLACE.contains(&difference.what.as_str())) {
        Change::InPlace
    } else {
        Change::Rebuild
    };
    Ok(Comparison { rollup: name.to_string(), change, differences })
}

/// Columns of the target, each with its type. Unlike [`install::load`] this does not ask whether they still fit.
async fn installed_columns(
    session: &Session,
    name: &RollupName,
) -> Result<Vec<(String, String)>, RollupError> {
    let entry = install::entry(session, name).await?;
    let found = super::source::columns(session, &entry.target).await?;
    Ok(found.into_iter().map(|column| (column.name, column.type_name)).collect())
}

fn columns(shape: &Shape) -> Vec<(String, String)> {
    shape.columns.iter().map(|column| (column.name.clone(), column.type_name.clone())).collect()
}

/// Keys of the definition whose values differ. The query counts without the white space around it.
fn keys(installed: &Definition, file: &Definition) -> Result<Vec<Difference>, RollupError> {
    let table = |definition: &Definition| -> Result<toml::Table, RollupError> {
        let parsed = definition.text.parse::<toml::Table>().map_err(|error| RollupError::Definition {
            origin: definition.name.to_string(),
            reason: error.to_string(),
        });
        let mut table = parsed?;
        table.insert("query".to_owned(), toml::Value::String(definition.query.clone()));
        Ok(table)
    };
    let (installed, file) = (table(installed)?, table(file)?);
    let names: BTreeSet<&String> = installed.keys().chain(file.keys()).collect();
    let shown = |value: Option<&toml::Value>| {
        value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    Ok(names
        .into_iter()
        .filter(|name| installed.get(*name) != file.get(*name))
        .map(|name| Difference {
            what: name.clone(),
            installed: shown(installed.get(name)),
            file: shown(file.get(name)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../sql/rollups/usage_hourly.toml");

    fn differing(change: impl Fn(&str) -> String) -> Vec<String> {
        let (before, after) =
            (Definition::parse(GOOD, "a").unwrap(), Definition::parse(&change(GOOD), "b").unwrap());
        keys(&before, &after).unwrap().into_iter().map(|one| one.what).collect()
    }

    #[test]
    fn what_a_definition_says_is_compared_and_not_how_it_is_laid_out() {
        let none: [&str; 0] = [];
        assert_eq!(differing(|text| format!("# a comment\n{text}\n")), none);
        assert_eq!(differing(|text| text.replace("\"1h\"", "\"1d\"")), ["grain"]);
        assert_eq!(differing(|text| format!("{text}\n[combine]\nevent_count = 'sum'\n")), ["combine"]);
        assert_eq!(differing(|text| text.replace("\"model\"]", "\"model\"] # last")), none);
    }
}
