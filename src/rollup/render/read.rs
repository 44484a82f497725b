//! The statement that regroups buckets into a viewer's own hours, days, weeks and months.

use super::base;
use super::live;
use super::part::{self, Calendar};
use super::template::Template;
use crate::rollup::combine;
use crate::rollup::definition::Grain;
use crate::rollup::quote::{TableName, identifier, literal};
use crate::rollup::shape::{SCHEMA, Shape};

/// What is read, checked already: every name is a column of the rollup.
pub struct Reading<'a> {
    /// Columns to group by.
    pub by: &'a [String],
    /// Measures, each with the aggregate that combines it.
    pub measures: &'a [(String, &'static str)],
    /// Whether `$5` text is a tenant.
    pub of_tenant: bool,
    /// Whether the table alone is read.
    pub is_clean: bool,
    /// Whether the source can be asked for one bucket at a time through an index.
    pub by_index: bool,
}

/// Rows: `local_start`, then the columns of `by`, then the measures.
pub fn read(shape: &Shape, reading: &Reading<'_>) -> String {
    let columns = |alias: &str| -> String {
        let names = reading.by.iter().chain(reading.measures.iter().map(|(name, _)| name));
        names.map(|name| format!(", {alias}.{}", identifier(name))).collect()
    };
    let relation = if reading.is_clean { shape.target.quoted() } else { live::name(shape).quoted() };
    Template::new(include_str!("../../../sql/template/read.sql"))
        .set("width", width(shape).to_owned())
        .set("origin", part::ORIGIN.to_owned())
        .set("relation", relation)
        .set("t_columns", columns("t"))
        .set("n_columns", columns("n"))
        .set("t_tenant", tenant_is(shape, reading, "t"))
        .set("cut_rows", cut_rows(shape, reading))
        .set("group_columns", reading.by.iter().map(|name| format!(", part.{}", identifier(name))).collect())
        .set(
            "combined",
            reading
                .measures
                .iter()
                .map(|(name, aggregate)| format!(", {aggregate}(part.{0}) AS {0}", identifier(name)))
                .collect(),
        )
        .render()
}

/// Whether nothing of `[$1, $2)` is open.
pub fn is_clean(shape: &Shape) -> String {
    Template::new(include_str!("../../../sql/template/read_clean.sql"))
        .set("width", width(shape).to_owned())
        .set("open", live::open(shape).quoted())
        .set("dirty", super::watch::dirty(shape))
        .names(shape)
        .render()
}

/// `highwater.NAME_read`.
fn name(shape: &Shape) -> TableName {
    TableName { schema: SCHEMA.to_owned(), table: format!("{}_read", shape.definition.name) }
}

/// The read as an SQL function, `NAME_read(from, to, zone, step)`.
pub fn function(shape: &Shape) -> String {
    let by: Vec<String> = shape.definition.tenant.iter().chain(&shape.definition.key).cloned().collect();
    let measures: Vec<(String, &'static str)> = shape
        .measures()
        .filter_map(|measure| Some((measure.name.clone(), combine::aggregate(shape, measure).ok()?)))
        .collect();
    let typed = |name: &String, type_name: &str| format!(", {} {type_name}", identifier(name));
    let column = |name: &str| shape.columns.iter().find(|column| column.name == name);
    let keys = by.iter().filter_map(|name| Some(typed(name, &column(name)?.type_name)));
    let combined = measures.iter().filter_map(|(name, aggregate)| {
        let own = column(name)?.type_name.as_str();
        Some(typed(name, if *aggregate == "sum" { summed(own) } else { own }))
    });
    let reading =
        Reading { by: &by, measures: &measures, of_tenant: false, is_clean: false, by_index: false };
    Template::new(include_str!("../../../sql/template/read_function.sql"))
        .set("function", name(shape).quoted())
        .set("returned", keys.chain(combined).collect())
        .set("search_path", super::search_path(&shape.definition))
        .set("read", read(shape, &reading))
        .set("quote", super::QUOTE.to_owned())
        .set(
            "comment",
            literal(&format!("Rollup \"{}\" by hour, day, week or month of a zone.", shape.definition.name)),
        )
        .render()
}

/// Type of the sum of a type, as Postgres has it.
fn summed(type_name: &str) -> &str {
    match type_name {
        "smallint" | "integer" => "bigint",
        "bigint" => "numeric",
        other if other.starts_with("numeric") => "numeric",
        other => other,
    }
}

/// Marks the buckets that `[$1, $2)` touches.
pub(in crate::rollup) fn mark_range(shape: &Shape) -> String {
    Template::new(include_str!("../../../sql/template/mark_range.sql"))
        .set("width", width(shape).to_owned())
        .set("origin", part::ORIGIN.to_owned())
        .names(shape)
        .render()
}

/// The grain in hours: a day's length must not hang on the zone of whoever reads.
pub(super) fn width(shape: &Shape) -> &'static str {
    match shape.definition.grain {
        Grain::Day => "interval '24 hours'",
        shorter => shorter.interval(),
    }
}

fn tenant_is(shape: &Shape, reading: &Reading<'_>, alias: &str) -> String {
    match &shape.source.tenant {
        Some(tenant) if reading.of_tenant => {
            format!(" AND {alias}.{} = $5::text::{}", identifier(&tenant.name), tenant.type_name)
        }
        Some(_) | None => String::new(),
    }
}

/// Rows of cut buckets, their `bucket` the local period as if it were UTC. By an index each bucket is asked for alone;
/// without one, the source is read once and joined.
fn cut_rows(shape: &Shape, reading: &Reading<'_>) -> String {
    let calendar = Calendar::of(&shape.source);
    let period = format!("(date_trunc($4, {} AT TIME ZONE $3) AT TIME ZONE 'UTC')", calendar.instant);
    let width = width(shape);
    let tenant = tenant_is(shape, reading, "s");
    let query = format!("SELECT {} FROM (\n{}\n) AS q", part::listed(shape, "q"), shape.definition.query);
    let pruned = base::refuse_cut(shape, &tenant_is(shape, reading, "b"));
    if reading.by_index {
        let condition = format!(
            "{} AND {}{tenant}",
            calendar.at_or_after("greatest(cut.at, $1)"),
            calendar.before(&format!("least(cut.at + {width}, $2)")),
        );
        let relation = part::source_relation(&shape.source, &period, &condition);
        return format!(
            "(SELECT each.* FROM bucket AS cut CROSS JOIN LATERAL (WITH {relation} {query}) AS each WHERE NOT cut.is_whole{pruned})"
        );
    }
    let condition = format!(
        "{} AND {}{tenant} AND EXISTS (SELECT FROM bucket AS cut WHERE NOT cut.is_whole AND cut.at = date_bin({width}, {}, {}))",
        calendar.at_or_after("$1"),
        calendar.before("$2"),
        calendar.instant,
        part::ORIGIN,
    );
    let relation = part::source_relation(&shape.source, &period, &condition);
    format!("(WITH {relation} {query}{pruned})")
}
