//! The whole of a rollup as one psql script.

use super::template::Template;
use super::{QUOTE, ledger, tables};
use crate::rollup::quote::literal;
use crate::rollup::shape::Shape;

/// What the database had to be asked for.
pub struct Parts {
    /// Functions, which name no column that the query does not read.
    pub functions: String,
    /// Views and the function over them.
    pub views: String,
    /// Capture functions of all rollups over the same tables, with their triggers.
    pub capture: String,
    /// The other rollups that are installed, by name.
    pub others: Vec<String>,
    /// Whether the ledger records renderings.
    pub has_engine: bool,
    /// Where the query's names resolve.
    pub search_path: String,
}

/// The script.
pub fn script(shape: &Shape, parts: &Parts) -> String {
    let source = literal(&shape.source.table.to_string());
    let others: Vec<String> = parts.others.iter().map(|name| literal(name)).collect();
    let lock = include_str!("../../../sql/rollup/lock_capture.sql").trim_end().replace("$1", &source);
    Template::new(include_str!("../../../sql/template/script.sql"))
        .set("name", shape.definition.name.to_string())
        .set("build", ledger::BUILD.to_owned())
        .set("source_name", shape.source.table.to_string())
        .set("search_path", parts.search_path.clone())
        .set("lock_capture", lock)
        .set("others", format!("ARRAY[{}]", others.join(", ")))
        .set("tables", tables(shape))
        .set("functions", parts.functions.clone())
        .set("views", parts.views.clone())
        .set("ledger", ledger::ledger(shape))
        .set("engine", if parts.has_engine { ledger::engine(shape) } else { String::new() })
        .set("capture", parts.capture.clone())
        .set("complete_if_empty", ledger::complete_if_empty(shape))
        .set("quote", QUOTE.to_owned())
        .names(shape)
        .render()
}
