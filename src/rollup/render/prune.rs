//! Statements of a prune: raw events go, and what they came to stays.

use super::base;
use super::part::{self, Calendar};
use super::read;
use super::template::Template;
use crate::rollup::quote::identifier;
use crate::rollup::shape::Shape;

/// Deletes one batch of at most `batch` raw events of the source that all `shapes` are over, and folds it into each
/// baseline; parameters and answer as in the template. `shapes` holds at least one.
pub(in crate::rollup) fn fold(shapes: &[Shape], batch: u32) -> String {
    let shape = shapes.first().expect("a prune has the rollup that it was asked for");
    let calendar = Calendar::of(&shape.source);
    // A place alone is not unique across partitions.
    let of_relation = if shape.source.relations.len() > 1 {
        "\n     AND (s.tableoid, s.ctid) IN (SELECT v.relation, v.place FROM victim AS v)"
    } else {
        ""
    };
    Template::new(include_str!("../../../sql/template/fold.sql"))
        .set("source", shape.source.table.quoted())
        .set("in_range", format!("{} AND {}", calendar.at_or_after("$1"), calendar.before("$2")))
        .set("time", identifier(&shape.source.time))
        .set("batch", batch.to_string())
        .set("of_relation", of_relation.to_owned())
        .set("folds", shapes.iter().enumerate().map(|(ordinal, shape)| fold_one(shape, ordinal)).collect())
        .set("instant", calendar.instant.clone())
        .render()
}

fn fold_one(shape: &Shape, ordinal: usize) -> String {
    let calendar = Calendar::of(&shape.source);
    let bucket = part::bucket(&shape.definition, &calendar);
    Template::new(include_str!("../../../sql/template/fold_one.sql"))
        .set("ordinal", ordinal.to_string())
        .set("relation", part::relation_of(&shape.source, "gone", &bucket, &calendar.countable))
        .set("column_list", part::column_list(shape))
        .set("columns", part::listed(shape, "q"))
        .set("query", shape.definition.query.clone())
        .set("base_key", base::key(shape))
        .set("on_conflict", base::on_conflict(shape))
        .names(shape)
        .render()
        .trim_end()
        .to_owned()
}

/// Claims the marks of the buckets that a batch touched.
pub(in crate::rollup) fn claim_own(shape: &Shape) -> String {
    Template::new(include_str!("../../../sql/template/claim_own.sql"))
        .set("width", read::width(shape).to_owned())
        .set("origin", part::ORIGIN.to_owned())
        .names(shape)
        .render()
}

/// Whether a range has open marks, or any range mark is open.
pub(in crate::rollup) fn has_marks(shape: &Shape) -> String {
    let watched = if shape.watched.is_empty() { "" } else { " OR EXISTS (SELECT FROM {{watch}})" };
    Template::new(include_str!("../../../sql/template/has_marks.sql"))
        .set("or_watched", Template::new(watched).names(shape).render())
        .names(shape)
        .render()
}

/// What goes with a month `[$1, $2)` that is dropped, beside its table: marks, split ranges, baseline.
pub(in crate::rollup) fn forget(shape: &Shape) -> Vec<String> {
    let mut statements = vec![
        "DELETE FROM {{mark}} AS m WHERE m.bucket >= $1 AND m.bucket < $2",
        "DELETE FROM {{wide}} AS w WHERE w.split AND w.lo >= $1 AND w.hi <= $2",
    ];
    if shape.definition.keep_source.is_some() {
        statements.push("DELETE FROM {{base}} AS b WHERE b.bucket >= $1 AND b.bucket < $2");
    }
    statements.into_iter().map(|statement| Template::new(statement).names(shape).render()).collect()
}

/// The statement of an expansion that counts changes of dropped months aside; nothing without `keep`.
pub(super) fn aside(shape: &Shape) -> String {
    if shape.definition.keep.is_none() {
        return String::new();
    }
    Template::new(include_str!("../../../sql/template/aside.sql")).names(shape).render()
}

/// The check of a window function that its range was not dropped; nothing without `keep`.
pub(super) fn assert_kept(shape: &Shape) -> String {
    if shape.definition.keep.is_none() {
        return String::new();
    }
    Template::new("  PERFORM highwater.assert_kept({{name_literal}}, p_from);\n").names(shape).render()
}

/// Before when months were dropped, as an SQL expression that may be NULL; nothing without `keep`.
pub(super) fn dropped_before(shape: &Shape) -> Option<String> {
    shape.definition.keep.map(|_| {
        Template::new("(SELECT r.dropped_before FROM highwater.rollup AS r WHERE r.name = {{name_literal}})")
            .names(shape)
            .render()
    })
}

/// Raw events of each month in `$1` timestamptz[] (starts).
pub(in crate::rollup) fn count(shape: &Shape) -> String {
    let calendar = Calendar::of(&shape.source);
    format!(
        "SELECT month.at, (SELECT count(*) FROM {} AS s WHERE {} AND {}) AS rows FROM unnest($1) AS month (at) ORDER BY 1",
        shape.source.table.quoted(),
        calendar.at_or_after("month.at"),
        calendar.before("(month.at + interval '1 month')"),
    )
}
