//! The statement that regroups buckets into a viewer's own hours, days, weeks and months.

use super::base;
use super::live;
use super::part::{self, Calendar};
use super::template::Template;
use crate::rollup::combine::Aggregate;
use crate::rollup::definition::Grain;
use crate::rollup::measure::{self, Given, Value};
use crate::rollup::quote::{TableName, identifier, literal};
use crate::rollup::shape::{SCHEMA, Shape};
use crate::rollup::source::Column;

/// What is read, checked already: every name is a column of the rollup.
pub struct Reading<'a> {
    /// Columns to group by.
    pub by: &'a [String],
    pub measures: &'a [Given],
    /// Whether every answer comes of one row, so that nothing has to be put together.
    pub is_single: bool,
    /// Whose rows.
    pub tenants: Tenants,
    /// Whether the table alone is read.
    pub is_clean: bool,
    /// Whether the source can be asked for one bucket at a time through an index.
    pub by_index: bool,
}

/// Whose rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenants {
    All,
    /// `$5` text.
    One,
    /// A function's parameters decide: `$5` text, NULL for all; `$6` text[], columns to group by; `$7` text[], measures.
    Given,
}

/// Rows: `local_start`, then the columns of `by`, then the measures.
pub fn read(shape: &Shape, reading: &Reading<'_>) -> String {
    let used = measure::columns(shape, reading.measures);
    let is_function = reading.tenants == Tenants::Given;
    let columns = |alias: &str| -> String {
        let by = reading.by.iter().map(|name| {
            let column = identifier(name);
            if is_function {
                format!(", CASE WHEN {} = ANY ($6) THEN {alias}.{column} END AS {column}", literal(name))
            } else {
                format!(", {alias}.{column}")
            }
        });
        let measures = used.iter().map(|(column, _)| format!(", {alias}.{}", identifier(&column.name)));
        by.chain(measures).collect()
    };
    let listed = |alias: &str| -> String {
        reading.by.iter().map(|name| format!(", {alias}.{}", identifier(name))).collect()
    };
    let combined = |(column, aggregate): &(&Column, Option<Aggregate>)| {
        let name = identifier(&column.name);
        let type_name = result_type(column, *aggregate);
        match aggregate {
            _ if reading.is_single => format!(", part.{name}::{type_name} AS {name}"),
            Some(aggregate) => format!(", {} AS {name}", aggregate.of(&format!("part.{name}"))),
            None => format!(", NULL::{type_name} AS {name}"),
        }
    };
    let shown = |given: &Given| {
        let name = identifier(&given.name);
        let value = match &given.value {
            Value::Combined(_) | Value::Single(_) => format!("c.{name}"),
            Value::Derived(derived) => derived.of(shape, "c"),
        };
        if is_function {
            format!(", CASE WHEN {} = ANY ($7) THEN {value} END AS {name}", literal(&given.name))
        } else {
            format!(", {value} AS {name}")
        }
    };
    let relation = if reading.is_clean { shape.target.quoted() } else { live::name(shape).quoted() };
    let grouping = if reading.is_single {
        String::new()
    } else {
        format!("\n   GROUP BY part.local_start{}", listed("part"))
    };
    Template::new(include_str!("../../../sql/template/read.sql"))
        .set("width", width(shape).to_owned())
        .set("origin", part::ORIGIN.to_owned())
        .set("relation", relation)
        .set("t_columns", columns("t"))
        .set("n_columns", columns("n"))
        .set("t_tenant", tenant_is(shape, reading.tenants, "t"))
        .set("cut_rows", cut_rows(shape, reading))
        .set("group_columns", listed("part"))
        .set("combined", used.iter().map(combined).collect())
        .set("grouping", grouping)
        .set("shown", listed("c") + &reading.measures.iter().map(shown).collect::<String>())
        .set("order_columns", listed("c"))
        .render()
}

/// Type of a stored measure in a read, alone or put together.
fn result_type(column: &Column, aggregate: Option<Aggregate>) -> &str {
    aggregate.map_or(&column.type_name, |aggregate| aggregate.result_type(&column.type_name))
}

/// The first period of `[$1, $2)` that does not come of one bucket alone, in the zone `$3` by the step `$4`.
pub fn shared(shape: &Shape) -> String {
    Template::new(include_str!("../../../sql/template/read_shared.sql"))
        .set("width", width(shape).to_owned())
        .set("origin", part::ORIGIN.to_owned())
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

/// The read as an SQL function, `NAME_read(from, to, zone, step, by, measure, tenant)`. `shape` may be narrowed to columns
/// of the source that the query reads.
pub fn function(shape: &Shape) -> String {
    let definition = &shape.definition;
    let by: Vec<String> = definition.tenant.iter().chain(&definition.key).cloned().collect();
    let measures = measure::all(shape);
    let used = measure::columns(shape, &measures);
    let typed = |name: &str, type_name: &str| format!(", {} {type_name}", identifier(name));
    let column = |name: &str| shape.columns.iter().find(|column| column.name == name);
    let keys = by.iter().filter_map(|name| Some(typed(name, &column(name)?.type_name)));
    let given = measures.iter().filter_map(|given| match &given.value {
        Value::Derived(derived) => Some(typed(&given.name, derived.type_name(shape))),
        Value::Combined(_) | Value::Single(_) => {
            let (column, aggregate) = used.iter().find(|(column, _)| column.name == given.name)?;
            Some(typed(&given.name, result_type(column, *aggregate)))
        }
    });
    let reading = |is_single: bool| {
        let tenants = Tenants::Given;
        let reading =
            Reading { by: &by, measures: &measures, is_single, tenants, is_clean: false, by_index: false };
        read(shape, &reading)
    };
    let names = |names: &mut dyn Iterator<Item = &String>| {
        format!("ARRAY[{}]", names.map(|name| literal(name)).collect::<Vec<String>>().join(", "))
    };
    let single: Vec<&String> = measures
        .iter()
        .filter(|given| matches!(given.value, Value::Single(_)))
        .map(|given| &given.name)
        .collect();
    let read_single = if single.is_empty() {
        String::new()
    } else {
        let or_tenant = definition
            .tenant
            .as_ref()
            .map(|tenant| format!(" OR (p_tenant IS NULL AND {} <> ALL (v_by))", literal(tenant)));
        Template::new(include_str!("../../../sql/template/read_single.sql"))
            .set("single", names(&mut single.into_iter()))
            .set("keys", names(&mut definition.key.iter()))
            .set("or_tenant", or_tenant.unwrap_or_default())
            .set("shared", shared(shape))
            .set("read", reading(true))
            .set("name_literal", literal(definition.name.as_str()))
            .set("tag", super::TAG.to_owned())
            .render()
    };
    Template::new(include_str!("../../../sql/template/read_function.sql"))
        .set("function", name(shape).quoted())
        .set("returned", keys.chain(given).collect())
        .set("search_path", super::search_path(definition))
        .set("by", names(&mut by.iter()))
        .set("measures", names(&mut measures.iter().map(|given| &given.name)))
        .set("read_single", read_single)
        .set("read", reading(false))
        .set("name_literal", literal(definition.name.as_str()))
        .set("quote", super::QUOTE.to_owned())
        .set("tag", super::TAG.to_owned())
        .set(
            "comment",
            literal(&format!("Rollup \"{}\" by hour, day, week or month of a zone.", definition.name)),
        )
        .render()
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

fn tenant_is(shape: &Shape, tenants: Tenants, alias: &str) -> String {
    let Some(tenant) = &shape.source.tenant else { return String::new() };
    let is_it = format!("{alias}.{} = $5::text::{}", identifier(&tenant.name), tenant.type_name);
    match tenants {
        Tenants::All => String::new(),
        Tenants::One => format!(" AND {is_it}"),
        // Planned with the parameter's value, so that one of the two is all that is left.
        Tenants::Given => format!(" AND ($5 IS NULL OR {is_it})"),
    }
}

/// Rows of cut buckets, their `bucket` the local period as if it were UTC. By an index each bucket is asked for alone;
/// without one, the source is read once and joined.
fn cut_rows(shape: &Shape, reading: &Reading<'_>) -> String {
    let calendar = Calendar::of(&shape.source);
    let period = format!("(date_trunc($4, {} AT TIME ZONE $3) AT TIME ZONE 'UTC')", calendar.instant);
    let width = width(shape);
    let tenant = tenant_is(shape, reading.tenants, "s");
    let query = format!("SELECT {} FROM (\n{}\n) AS q", part::listed(shape, "q"), shape.definition.query);
    let pruned = base::refuse_cut(shape, &tenant_is(shape, reading.tenants, "b"));
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
