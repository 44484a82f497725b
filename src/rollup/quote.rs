//! SQL quoting, and table names as people write them.

/// An identifier, always quoted: quotes inside are doubled.
///
/// ```
/// assert_eq!(highwater::rollup::quote::identifier("we\"ird"), "\"we\"\"ird\"");
/// ```
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal that means the same under every setting of `standard_conforming_strings`.
///
/// ```
/// assert_eq!(highwater::rollup::quote::literal("it's"), "'it''s'");
/// ```
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A table by schema and name, unquoted as the catalog has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    /// `"schema"."table"`.
    pub fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.table))
    }
}

/// For people: quotes only where Postgres would need them.
impl std::fmt::Display for TableName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", plain_or_quoted(&self.schema), plain_or_quoted(&self.table))
    }
}

fn plain_or_quoted(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_');
    if plain { name.to_owned() } else { identifier(name) }
}
