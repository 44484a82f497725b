//! What a rollup with watched tables has besides: the table of changed keys, capture, expansion.

use std::collections::BTreeMap;

use super::part::{self, Calendar};
use super::template::Template;
use super::{QUOTE, TAG};
use crate::rollup::quote::{TableName, identifier};
use crate::rollup::shape::{SCHEMA, Shape};
use crate::rollup::source::Column;
use crate::rollup::watched::Watched;

/// Changed keys that one expansion claims from each watched table: some of them touch thousands of events.
const KEYS_PER_EXPANSION: &str = "1000";

/// The table of changed keys, one column a watched table; nothing without one.
pub(super) fn table(shape: &Shape) -> String {
    if shape.watched.is_empty() {
        return String::new();
    }
    let columns: Vec<String> = shape
        .watched
        .iter()
        .map(|watched| {
            let collation =
                watched.key.collation.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
            format!("{} {}{collation},\n  ", key_column(watched), watched.key.base_type)
        })
        .collect();
    let comments: Vec<String> = shape
        .watched
        .iter()
        .map(|watched| {
            format!(
                "COMMENT ON COLUMN {}.{} IS {};\n",
                table_name(shape).quoted(),
                key_column(watched),
                crate::rollup::quote::literal(&format!(
                    "Changed value of {}.{}.",
                    watched.table, watched.key.name
                )),
            )
        })
        .collect();
    Template::new(include_str!("../../../sql/template/watch_table.sql"))
        .set("key_columns", columns.concat())
        .set("key_comments", comments.concat())
        .names(shape)
        .render()
}

/// `highwater.NAME_watch`.
fn table_name(shape: &Shape) -> TableName {
    TableName { schema: SCHEMA.to_owned(), table: format!("{}_watch", shape.definition.name) }
}

fn key_column(watched: &Watched) -> String {
    format!("key_{}", watched.ordinal)
}

/// `affects` alone; `keys` is a SELECT of one column.
pub(in crate::rollup) fn affects(watched: &Watched, keys: &str) -> String {
    format!("{} SELECT q.* FROM {} AS q", changed(keys), nested(watched))
}

/// A key of the right type, for looking at a statement that nobody runs.
pub(in crate::rollup) fn no_key(watched: &Watched) -> String {
    format!("SELECT NULL::{} AS key", watched.key.base_type)
}

fn changed(keys: &str) -> String {
    format!("WITH changed (key) AS ({keys})")
}

fn nested(watched: &Watched) -> String {
    format!("(\n{}\n)", watched.affects)
}

/// Tenants and buckets that the given keys touch; `keys` is a SELECT of one column.
pub(in crate::rollup) fn affected(shape: &Shape, watched: &Watched, keys: &str) -> String {
    let calendar = Calendar::of(&shape.source);
    let names: Vec<String> = shape
        .source
        .tenant
        .iter()
        .map(|tenant| &tenant.name)
        .chain([&shape.source.time])
        .map(|name| identifier(name))
        .collect();
    format!(
        "SELECT {} FROM ({} SELECT q.* FROM {} AS q) AS s ({}) WHERE {}",
        part::mark_values(shape, &calendar),
        changed(keys),
        nested(watched),
        names.join(", "),
        calendar.countable
    )
}

/// The keys of a watched table that wait in `NAME_watch`.
pub(in crate::rollup) fn marked_keys(shape: &Shape, watched: &Watched) -> String {
    format!(
        "SELECT w.{} FROM {} AS w WHERE w.watch = {}",
        key_column(watched),
        table_name(shape).quoted(),
        watched.ordinal
    )
}

/// The relation of everything that is marked, tenant and bucket: marks, and what the waiting keys touch.
pub(super) fn dirty(shape: &Shape) -> String {
    let mark = Template::new("{{mark}}").names(shape).render();
    if shape.watched.is_empty() {
        return mark;
    }
    let columns = part::tenant(shape).mark_columns;
    let waiting: Vec<String> = shape
        .watched
        .iter()
        .map(|watched| {
            // Asked once and before anything else: with no key waiting, nothing of this is executed.
            format!(
                " UNION ALL {} AND EXISTS (SELECT FROM {})",
                affected(shape, watched, &marked_keys(shape, watched)),
                table_name(shape).quoted()
            )
        })
        .collect();
    format!("(SELECT {columns} FROM {mark} AS m{})", waiting.concat())
}

/// Whether anything is marked.
pub(super) fn is_marked(shape: &Shape) -> String {
    let text = if shape.watched.is_empty() {
        "EXISTS (SELECT FROM {{mark}})"
    } else {
        "(EXISTS (SELECT FROM {{mark}}) OR EXISTS (SELECT FROM {{watch}}))"
    };
    Template::new(text).names(shape).render()
}

/// Fills the holes of the functions that concern watched tables; without one they are empty.
pub(super) fn holes(template: Template, shape: &Shape) -> Template {
    let has_watch = !shape.watched.is_empty();
    let text = |text: &'static str| {
        if has_watch { Template::new(text).names(shape).render() } else { String::new() }
    };
    let expansions: Vec<String> = shape.watched.iter().map(|watched| expansion(shape, watched)).collect();
    let variables: Vec<String> = shape
        .watched
        .iter()
        .map(|watched| format!("v_{} {}[];\n  ", key_column(watched), watched.key.base_type))
        .collect();
    template
        .set("expand_watches", expansions.concat())
        .set("declare_keys", variables.concat())
        .set("expand_settings", if has_watch { EXPAND_SETTINGS.to_owned() } else { String::new() })
        .set("or_free_key", text(" OR EXISTS (SELECT FROM {{watch}} FOR UPDATE SKIP LOCKED)"))
        .set("or_waiting_key", text(" OR EXISTS (SELECT FROM {{watch}})"))
        .set("oldest_key", text(", (SELECT min(w.marked_at) FROM {{watch}} AS w)"))
}

/// A few keys are looked up by index, however little the planner knows of the tables.
const EXPAND_SETTINGS: &str = "SET jit = off SET enable_seqscan = off SET random_page_cost = 1.1";

fn expansion(shape: &Shape, watched: &Watched) -> String {
    let columns = if shape.source.tenant.is_some() { "tenant, bucket" } else { "bucket" };
    Template::new(include_str!("../../../sql/template/expand_watch.sql"))
        .set("ordinal", watched.ordinal.to_string())
        .set("key", key_column(watched))
        .set("limit", KEYS_PER_EXPANSION.to_owned())
        .set("mark_columns", columns.to_owned())
        .set("affected", affected(shape, watched, "SELECT unnest($1)"))
        .set("tag", TAG.to_owned())
        .names(shape)
        .render()
}

/// Name of the capture function of a watched table.
pub(in crate::rollup) fn capture_function(table: &TableName) -> TableName {
    part::function_of("watch", table)
}

/// The capture function of a watched table, for all rollups that watch it.
pub(in crate::rollup) fn capture(function: &TableName, table: &TableName, shapes: &[Shape]) -> String {
    let watched = shapes.iter().flat_map(|shape| &shape.watched).filter(|watched| watched.table == *table);
    let read: BTreeMap<&str, &Column> =
        watched.flat_map(|watched| &watched.columns).map(|column| (column.name.as_str(), column)).collect();
    let each = |text: &'static str| -> String {
        let watches =
            shapes.iter().flat_map(|shape| shape.watched.iter().map(move |watched| (shape, watched)));
        watches
            .filter(|(_, watched)| watched.table == *table)
            .map(|(shape, watched)| {
                let images: Vec<String> = watched
                    .columns
                    .iter()
                    .enumerate()
                    .map(|(place, column)| format!(", r.{}::text AS image_{place}", identifier(&column.name)))
                    .collect();
                Template::new(text)
                    .set("ordinal", watched.ordinal.to_string())
                    .set("key_column", key_column(watched))
                    .set("key", identifier(&watched.key.name))
                    .set("images", images.concat())
                    .names(shape)
                    .render()
            })
            .collect()
    };
    Template::new(include_str!("../../../sql/template/watch_capture.sql"))
        .set("has_lost_columns", part::has_lost_columns(read.into_values()))
        .set("capture", function.quoted())
        .set("quote", QUOTE.to_owned())
        .set("on_insert", each(include_str!("../../../sql/template/watch_insert.sql")))
        .set("on_update", each(include_str!("../../../sql/template/watch_update.sql")))
        .set("on_delete", each(include_str!("../../../sql/template/watch_delete.sql")))
        .set("on_truncate", each(include_str!("../../../sql/template/capture_truncate.sql")))
        .render()
}

/// The triggers of one relation.
pub(in crate::rollup) fn triggers(function: &TableName, relation: &TableName) -> String {
    Template::new(include_str!("../../../sql/template/watch_trigger.sql"))
        .set("capture", function.quoted())
        .set("relation", relation.quoted())
        .render()
}
