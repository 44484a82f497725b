//! The live view of one rollup: the table where it is right, the query over the source where it may not be.

use super::base;
use super::part::{self, CALENDAR_END, CALENDAR_START, Calendar};
use super::prune;
use super::read;
use super::template::Template;
use super::watch;
use crate::rollup::RollupName;
use crate::rollup::quote::{TableName, identifier, literal};
use crate::rollup::shape::{SCHEMA, Shape};
use crate::rollup::source::{Column, Source};

/// `highwater.NAME_live`.
pub fn name(shape: &Shape) -> TableName {
    TableName { schema: SCHEMA.to_owned(), table: format!("{}_live", shape.definition.name) }
}

/// The view. `used` are the source's columns that the query reads: a view holds on to what it names, and an
/// application must stay free to change its other columns. Empty stands for all of them.
pub fn view(shape: &Shape, used: &[String]) -> String {
    let narrowed = narrow(shape, used);
    let dropped = prune::dropped_before(shape);
    let tenant = shape.source.tenant.as_ref();
    let tenant_name = tenant.map(|tenant| identifier(&tenant.name)).unwrap_or_default();
    let row_tenant = tenant.map(|tenant| (tenant, tenant_name.as_str()));
    Template::new(include_str!("../../../sql/template/live.sql"))
        .set("live", name(shape).quoted())
        .set("open", open(shape).quoted())
        .set("open_comment", literal(&open_comment(shape)))
        .set("spans", spans(shape))
        .set(
            "that_is_kept",
            dropped
                .as_ref()
                .map(|at| format!(" * tstzmultirange(tstzrange({at}, NULL))"))
                .unwrap_or_default(),
        )
        .set(
            "and_is_kept",
            dropped.as_ref().map(|at| format!(" AND (c.bucket < {at}) IS NOT TRUE")).unwrap_or_default(),
        )
        .set("table_columns", part::listed(shape, "t"))
        .set("new_columns", part::listed(shape, "n"))
        .set("marked_columns", marked_columns(shape))
        .set("mark_columns", if tenant.is_some() { "m.tenant, m.bucket" } else { "m.bucket" }.to_owned())
        .set("mark_order", if tenant.is_some() { "m.bucket, m.tenant" } else { "m.bucket" }.to_owned())
        .set("row_mark", mark_key(row_tenant, "t"))
        .set("mark_key", mark_key(tenant.map(|tenant| (tenant, "tenant")), "m"))
        .set("is_marked", watch::is_marked(shape))
        .set("dirty", watch::dirty(shape))
        .set("looks_rare", looks_rare("m.bucket"))
        .set("c_looks_rare", looks_rare("c.bucket"))
        .set("bucket_rows", bucket_rows(&narrowed))
        .set("span_rows", span_rows(&narrowed))
        .set("live_comment", literal(&comment(shape)))
        .names(shape)
        .render()
}

/// A relation called `source` with the columns that a query sees, and a view of the query over it: what the view
/// depends on is what the query reads.
pub(in crate::rollup) fn used_columns_probe(shape: &Shape) -> String {
    let relation = part::source_relation(&shape.source, "NULL::timestamptz", "false");
    format!(
        "CREATE TEMPORARY TABLE source AS WITH {relation} SELECT * FROM source;\n\
         CREATE TEMPORARY VIEW {USED_COLUMNS_VIEW} AS\n{}",
        shape.definition.query
    )
}

/// Name of the probe's view.
pub(in crate::rollup) const USED_COLUMNS_VIEW: &str = "highwater_used_columns";

/// Removes both views; what somebody has dropped before is no error.
pub(in crate::rollup) fn drop(name: &RollupName) -> String {
    let own = |suffix: &str| format!("{SCHEMA}.{}", identifier(&format!("{name}_{suffix}")));
    format!("DROP VIEW IF EXISTS {}, {};", own("live"), own("open"))
}

/// Takes the probe away again.
pub(in crate::rollup) const USED_COLUMNS_END: &str =
    "DROP VIEW pg_temp.highwater_used_columns; DROP TABLE pg_temp.source";

/// `highwater.NAME_open`: what is open beyond single buckets.
pub(in crate::rollup) fn open(shape: &Shape) -> TableName {
    TableName { schema: SCHEMA.to_owned(), table: format!("{}_open", shape.definition.name) }
}

/// The same as an expression: a multirange that is never NULL.
pub(super) fn spans(shape: &Shape) -> String {
    format!("(SELECT o.spans FROM {} AS o)", open(shape).quoted())
}

/// The shape with only those columns of the source that the query reads; tenant and time are always among them.
pub(in crate::rollup) fn narrow(shape: &Shape, used: &[String]) -> Shape {
    let mut narrowed = shape.clone();
    if !used.is_empty() {
        let Source { columns, time, tenant, .. } = &mut narrowed.source;
        columns.retain(|column| {
            used.contains(&column.name)
                || column.name == *time
                || tenant.as_ref().is_some_and(|tenant| tenant.name == column.name)
        });
    }
    narrowed
}

/// Rows of the query; bucket and tenant are those of the mark where they are of one type, so that a reader's
/// conditions on them choose among the marks before anything is computed.
fn marked_columns(shape: &Shape) -> String {
    let is_tenant = |column: &&Column| {
        shape.source.tenant.as_ref().is_some_and(|tenant| {
            shape.definition.tenant.as_ref() == Some(&column.name)
                && tenant.type_name == column.type_name
                && tenant.collation == column.collation
        })
    };
    let columns: Vec<String> = shape
        .columns
        .iter()
        .map(|column| match column {
            column if column.name == "bucket" => "c.bucket".to_owned(),
            column if is_tenant(&column) => format!("c.tenant AS {}", identifier(&column.name)),
            column => format!("n.{}", identifier(&column.name)),
        })
        .collect();
    columns.join(", ")
}

/// The key that a row of the table and its mark have in common: `row.column` of the given aliases and columns, in a form
/// that can be hashed. Arrays compare NULL as equal to NULL.
fn mark_key(tenant: Option<(&Column, &str)>, alias: &str) -> String {
    match tenant {
        Some((tenant, name)) if tenant.not_null => format!("{alias}.{name}, {alias}.bucket"),
        Some((_, name)) => format!("ARRAY[{alias}.{name}], {alias}.bucket"),
        None => format!("{alias}.bucket"),
    }
}

/// What the source says about the bucket `c`, read through the index.
pub(super) fn bucket_rows(shape: &Shape) -> String {
    let calendar = Calendar::of(&shape.source);
    let end = format!("(c.bucket + {})", read::width(shape));
    let in_bucket = format!("{} AND {}", calendar.at_or_after("c.bucket"), calendar.before(&end));
    let condition = match &shape.source.tenant {
        Some(tenant) => format!(
            "{} AND {in_bucket}",
            part::same_tenant(tenant, &format!("s.{}", identifier(&tenant.name)), "c.tenant")
        ),
        None => in_bucket,
    };
    let relation = part::source_relation(&shape.source, "c.bucket", &condition);
    let rows = format!(
        "WITH {relation} SELECT {} FROM (\n{}\n) AS q",
        part::listed(shape, "q"),
        shape.definition.query
    );
    base::merged(shape, rows, &base::of_claim(shape))
}

/// What the source says about one open span.
fn span_rows(shape: &Shape) -> String {
    part::range_rows(
        shape,
        &format!("greatest(lower(open.span), {CALENDAR_START})"),
        &format!("least(upper(open.span), {CALENDAR_END})"),
    )
}

/// Always true of a bucket, and thought to be true of one in 200: the planner knows nothing of an expression.
fn looks_rare(bucket: &str) -> String {
    format!("isfinite({bucket})::integer = 1")
}

fn open_comment(shape: &Shape) -> String {
    format!("What of rollup \"{}\" is to be filled or lies under a range mark.", shape.definition.name)
}

fn comment(shape: &Shape) -> String {
    format!("Rollup \"{}\", exact at any moment and inside any transaction.", shape.definition.name)
}
