//! The statements that say what is behind one row of a rollup.

use super::part::{self, Calendar};
use super::template::Template;
use super::{live, read, watch};
use crate::rollup::quote::{identifier, literal};
use crate::rollup::shape::Shape;
use crate::rollup::source::Column;

/// One row of a rollup, by its tenant and key; in statements the values that are not NULL are `$2…`, as text.
pub struct Place<'a> {
    /// Tenant, if there is one, then the columns of `key`, each with its value.
    pub values: Vec<(&'a Column, Option<String>)>,
    pub has_tenant: bool,
}

impl Place<'_> {
    /// The values that are parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = &String> {
        self.values.iter().filter_map(|(_, value)| value.as_ref())
    }

    /// ` AND …` for the columns that `name` has a name for; compared so that an index serves.
    fn is_it(&self, name: impl Fn(usize, &Column) -> Option<String>) -> String {
        let mut parameter = 1;
        let mut text = String::new();
        for (place, (column, value)) in self.values.iter().enumerate() {
            parameter += usize::from(value.is_some());
            let Some(name) = name(place, column) else { continue };
            match value {
                Some(_) => text.push_str(&format!(" AND {name} = ${parameter}::text::{}", column.type_name)),
                None => text.push_str(&format!(" AND {name} IS NULL")),
            }
        }
        text
    }

    fn of(&self, alias: &str) -> String {
        self.is_it(|_, column| Some(format!("{alias}.{}", identifier(&column.name))))
    }

    /// The bucket as one that is claimed: columns of `c`.
    fn claimed(&self) -> String {
        match self.values.first().filter(|_| self.has_tenant) {
            Some((column, Some(_))) => format!("$2::text::{} AS tenant, $1 AS bucket", column.type_name),
            Some((column, None)) => format!("NULL::{} AS tenant, $1 AS bucket", column.type_name),
            None => "$1 AS bucket".to_owned(),
        }
    }

    /// The tenant alone, under a name.
    fn tenant(&self, name: &str) -> String {
        self.is_it(|place, _| (self.has_tenant && place == 0).then(|| name.to_owned()))
    }
}

/// What is stored, live, counted, open and known of one row.
pub fn row(shape: &Shape, place: &Place<'_>) -> String {
    let baseline = if shape.definition.keep_source.is_some() {
        let text = "(SELECT to_jsonb(b) FROM {{base}} AS b WHERE b.bucket = $1{{b_is_it}})";
        Template::new(text).set("b_is_it", place.of("b")).names(shape).render()
    } else {
        "NULL::jsonb".to_owned()
    };
    Template::new(include_str!("../../../sql/template/explain.sql"))
        .set("live", live::name(shape).quoted())
        .set("t_is_it", place.of("t"))
        .set("l_is_it", place.of("l"))
        .set("m_is_it", place.tenant("m.tenant"))
        .set("n_is_it", place.of("n"))
        .set("claimed", place.claimed())
        .set("bucket_rows", live::bucket_rows(shape))
        .set("baseline", baseline)
        .set("dirty", watch::dirty(shape))
        .set("width", read::width(shape).to_owned())
        .names(shape)
        .render()
}

/// At most `limit` of the source's rows behind one row; `is_after` goes on from a row.
pub fn events(shape: &Shape, place: &Place<'_>, is_after: bool, limit: u32) -> String {
    let source = &shape.source;
    let calendar = Calendar::of(source);
    let time = identifier(&source.time);
    let time_type = source.columns.iter().find(|column| column.name == source.time);
    let next = place.params().count() + 2;
    let after = format!(
        " AND (s.{time}, s.tableoid, s.ctid) > (${next}::text::{}, ${}::bigint::oid, ${}::text::tid)",
        time_type.map_or("timestamptz", |column| &column.type_name),
        next + 1,
        next + 2
    );
    let tenant =
        source.tenant.as_ref().map(|tenant| place.tenant(&format!("s.{}", identifier(&tenant.name))));
    let without_key: String = place
        .values
        .iter()
        .map(|(column, _)| column.name.as_str())
        .chain(["bucket"])
        .map(|name| format!(" - {}", literal(name)))
        .collect();
    Template::new(include_str!("../../../sql/template/explain_events.sql"))
        .set("without_key", without_key)
        .set("time", time)
        .set("source", source.table.quoted())
        .set("source_columns", part::columns_of(source))
        .set("query", shape.definition.query.clone())
        .set(
            "in_bucket",
            format!(
                "{} AND {}",
                calendar.at_or_after("$1"),
                calendar.before(&format!("($1 + {})", read::width(shape)))
            ),
        )
        .set("s_is_tenant", tenant.unwrap_or_default())
        .set("n_is_it", place.of("n"))
        .set("after", if is_after { after } else { String::new() })
        .set("limit", limit.to_string())
        .render()
}
