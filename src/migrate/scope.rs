//! Whose migrations: highwater's own, or the application's.

use serde::Serialize;

/// Which of the two histories a migration belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Embedded in this program, from `migrations/`.
    Own,
    /// Read from `--dir`.
    App,
}

impl Scope {
    /// The spelling in `highwater.migration_run`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Own => "own",
            Scope::App => "app",
        }
    }
}

/// A table that records what was applied, in refinery's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryTable {
    pub schema: String,
    pub table: String,
}

/// The name that refinery gives its table.
const TABLE: &str = "refinery_schema_history";

impl HistoryTable {
    /// Highwater's own, in its own schema.
    pub fn own() -> HistoryTable {
        HistoryTable { schema: "highwater".to_owned(), table: TABLE.to_owned() }
    }

    /// The application's, where a stock refinery puts it.
    pub fn app() -> HistoryTable {
        HistoryTable { schema: "public".to_owned(), table: TABLE.to_owned() }
    }

    /// Puts the quoted name in the place of `{history}` in a statement of `sql/migrate`.
    pub fn fill(&self, template: &str) -> String {
        template.replace("{history}", &self.to_string())
    }
}

/// Both parts quoted, ready for a statement.
impl std::fmt::Display for HistoryTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", quoted(&self.schema), quoted(&self.table))
    }
}

/// `table` or `schema.table`, taken as the catalog spells them.
impl std::str::FromStr for HistoryTable {
    type Err = String;

    fn from_str(text: &str) -> Result<HistoryTable, String> {
        let (schema, table) = text.split_once('.').unwrap_or(("public", text));
        let fits =
            |part: &str| !part.is_empty() && part.len() <= NAME_BYTES && !part.contains(['.', '"', '\0']);
        if fits(schema) && fits(table) {
            Ok(HistoryTable { schema: schema.to_owned(), table: table.to_owned() })
        } else {
            Err("expected TABLE or SCHEMA.TABLE, without quotes".to_owned())
        }
    }
}

/// Postgres cuts longer names silently.
const NAME_BYTES: usize = 63;

/// A name as a quoted SQL identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_table_is_always_qualified_and_quoted() {
        let table: HistoryTable = "hist".parse().unwrap();
        assert_eq!(table.to_string(), "\"public\".\"hist\"");
        assert_eq!("app.hist".parse::<HistoryTable>().unwrap().to_string(), "\"app\".\"hist\"");
        for bad in ["", ".x", "x.", "a.b.c", "a\"b"] {
            assert!(bad.parse::<HistoryTable>().is_err(), "{bad:?}");
        }
    }
}
