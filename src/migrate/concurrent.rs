//! Statements on indexes that run outside a transaction, read far enough to know which index they mean.

use super::scope::quoted;
use super::statement::Statement;
use super::token::Kind;

/// `CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] NAME ON [ONLY] TABLE rest`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBuild {
    pub unique: bool,
    /// Empty where the statement leaves the name to the server.
    pub name: String,
    /// The table as the statement names it, parts as the catalog spells them.
    pub table: Vec<String>,
    /// From `USING` or the column list to the end.
    pub rest: String,
}

impl IndexBuild {
    /// Reads a concurrent index build; `None` for any other statement.
    pub fn of(statement: &Statement<'_>) -> Option<IndexBuild> {
        let unique = statement.word(1) == "UNIQUE";
        let mut at = if unique { 2 } else { 1 };
        if statement.word(0) != "CREATE"
            || statement.word(at) != "INDEX"
            || statement.word(at + 1) != "CONCURRENTLY"
        {
            return None;
        }
        at += 2;
        if statement.word(at) == "IF" {
            at += 3;
        }
        let mut name = String::new();
        if statement.word(at) != "ON" {
            let (parts, after) = statement.name(at);
            name = parts.into_iter().next_back()?;
            at = after;
        }
        if statement.word(at) != "ON" {
            return None;
        }
        at += if statement.word(at + 1) == "ONLY" { 2 } else { 1 };
        let (table, at) = statement.name(at);
        Some(IndexBuild { unique, name, table, rest: statement.text_from(at).to_owned() })
    }

    /// The table as a quoted SQL name.
    pub fn quoted_table(&self) -> String {
        quoted_parts(&self.table)
    }

    /// The build, without `IF NOT EXISTS`: that reports success over an invalid index of the same name.
    pub fn statement(&self) -> String {
        let unique = if self.unique { "UNIQUE " } else { "" };
        format!(
            "CREATE {unique}INDEX CONCURRENTLY {} ON {} {}",
            quoted(&self.name),
            self.quoted_table(),
            self.rest
        )
    }
}

/// The one index of a `DROP INDEX CONCURRENTLY`, quoted; `None` for any other statement.
pub fn dropped_index(statement: &Statement<'_>) -> Option<String> {
    if !statement.begins(&["DROP", "INDEX", "CONCURRENTLY"]) {
        return None;
    }
    let at = if statement.word(3) == "IF" { 5 } else { 3 };
    let (parts, after) = statement.name(at);
    let single = !matches!(statement.token(after), Some((Kind::Comma, _)));
    (single && !parts.is_empty()).then(|| quoted_parts(&parts))
}

/// A name of several parts as SQL.
pub fn quoted_parts(parts: &[String]) -> String {
    parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::super::statement::statements;
    use super::*;

    fn build(sql: &str) -> Option<IndexBuild> {
        IndexBuild::of(&statements(sql)[0])
    }

    #[test]
    fn a_concurrent_build_is_read_and_loses_its_if_not_exists() {
        let build = build(
            "create unique index concurrently if not exists Usage_Key on only app.\"Usage\" using btree (a, lower(b)) where c",
        )
        .unwrap();
        assert_eq!(
            build.statement(),
            "CREATE UNIQUE INDEX CONCURRENTLY \"usage_key\" ON \"app\".\"Usage\" using btree (a, lower(b)) where c"
        );
    }

    #[test]
    fn other_statements_are_no_build() {
        assert_eq!(build("CREATE INDEX i ON t (a)"), None);
        assert_eq!(build("DROP INDEX CONCURRENTLY i"), None);
        assert_eq!(build("CREATE INDEX CONCURRENTLY ON t (a)").map(|build| build.name), Some(String::new()));
    }

    #[test]
    fn a_dropped_index_is_named() {
        let dropped = |sql| dropped_index(&statements(sql)[0]);
        assert_eq!(
            dropped("DROP INDEX CONCURRENTLY IF EXISTS app.i CASCADE").as_deref(),
            Some("\"app\".\"i\"")
        );
        assert_eq!(dropped("DROP INDEX CONCURRENTLY a, b"), None);
        assert_eq!(dropped("DROP INDEX a"), None);
    }
}
