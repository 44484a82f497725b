//! A definition file written from a few flags: a start that people edit later.

use super::name::RollupName;
use super::quote::identifier;

/// What `rollup add --table` knows.
#[derive(Debug, Clone)]
pub struct Draft {
    pub name: RollupName,
    pub table: String,
    pub time: String,
    pub tenant: Option<String>,
    pub by: Vec<String>,
    pub sum: Vec<String>,
    pub grain: String,
}

/// `app.orders` at one hour is `orders_hourly`.
///
/// # Errors
///
/// When the table's name makes no rollup name.
pub fn name_for(table: &str, grain: &str) -> Result<RollupName, String> {
    let suffix = match grain {
        "15m" => "quarter_hourly",
        "30m" => "half_hourly",
        "1d" => "daily",
        _ => "hourly",
    };
    let table = table.rsplit('.').next().unwrap_or(table).trim_matches('"').to_lowercase();
    RollupName::parse(&format!("{table}_{suffix}"))
        .map_err(|reason| format!("{reason}; choose one with --name"))
}

impl Draft {
    /// The file's text. Sums are `numeric` or wider integers as Postgres makes them, so nothing overflows.
    pub fn text(&self) -> String {
        let column = |name: &String| format!("source.{}", identifier(name));
        let keys: Vec<String> = self
            .tenant
            .iter()
            .map(column)
            .chain(["source.bucket".to_owned()])
            .chain(self.by.iter().map(column))
            .collect();
        let sums: Vec<String> = self
            .sum
            .iter()
            .map(|name| format!("       sum(source.{0}) AS {0},\n", identifier(name)))
            .collect();
        let by: Vec<String> = self.by.iter().map(|name| text(name)).collect();
        let tenant =
            self.tenant.as_ref().map(|tenant| format!("tenant = {}\n", text(tenant))).unwrap_or_default();
        format!(
            "name   = {name}\nsource = {table}\ntime   = {time}\n{tenant}grain  = {grain}\nkey    = [{by}]\nquery  = '''\n\
             SELECT {keys},\n{sums}       count(*) AS event_count\n  FROM source\n GROUP BY {keys}\n'''\n",
            name = text(self.name.as_str()),
            table = text(&self.table),
            time = text(&self.time),
            grain = text(&self.grain),
            by = by.join(", "),
            keys = keys.join(", "),
            sums = sums.concat(),
        )
    }
}

/// A TOML string.
fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollup::definition::Definition;

    #[test]
    fn a_draft_is_a_good_definition() {
        let draft = Draft {
            name: name_for("app.\"Orders\"", "1h").unwrap(),
            table: "app.\"Orders\"".to_owned(),
            time: "created_at".to_owned(),
            tenant: Some("shop".to_owned()),
            by: vec!["country".to_owned(), "odd name".to_owned()],
            sum: vec!["amount".to_owned()],
            grain: "1h".to_owned(),
        };
        let definition = Definition::parse(&draft.text(), "draft").unwrap();
        assert_eq!(definition.name.as_str(), "orders_hourly");
        assert_eq!(definition.key, ["country", "odd name"]);
        assert!(definition.query.contains("sum(source.\"amount\") AS \"amount\""), "{}", definition.query);
    }
}
