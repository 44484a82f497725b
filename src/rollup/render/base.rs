//! The baseline of sealed months, and how it is merged with what the source still holds.
//!
//! Every statement that asks the source goes through [`merged`], so that no fill, drain, proof or view can take what is
//! left of a pruned month for all of it.

use super::part;
use super::template::Template;
use crate::rollup::combine::{self, Aggregate};
use crate::rollup::quote::identifier;
use crate::rollup::shape::Shape;
use crate::rollup::source::Column;

/// The baseline's table; nothing without `keep_source`.
pub(super) fn table(shape: &Shape) -> String {
    if shape.definition.keep_source.is_none() {
        return String::new();
    }
    Template::new(include_str!("../../../sql/template/base.sql"))
        .set("base_index", identifier(&format!("{}_base_key", shape.definition.name)))
        .set("base_key", key(shape))
        .names(shape)
        .render()
}

/// Columns of the baseline's key: the bucket first, since a rebuild reads whole ranges.
pub(super) fn key(shape: &Shape) -> String {
    let tenant = shape.definition.tenant.iter().map(String::as_str);
    let names = ["bucket"].into_iter().chain(tenant).chain(shape.definition.key.iter().map(String::as_str));
    names.map(identifier).collect::<Vec<String>>().join(", ")
}

/// `rows`, what the source says, merged with `pruned`, rows of the baseline. Without `keep_source` just the rows.
pub(super) fn merged(shape: &Shape, rows: String, pruned: &str) -> String {
    if shape.definition.keep_source.is_none() {
        return rows;
    }
    let columns: Vec<String> = shape
        .columns
        .iter()
        .map(|column| {
            let name = identifier(&column.name);
            match is_measure(shape, column).then(|| aggregate(shape, column)) {
                Some(aggregate) => {
                    format!("{}::{} AS {name}", aggregate.of(&format!("u.{name}")), column.type_name)
                }
                None => format!("u.{name}"),
            }
        })
        .collect();
    let keys: Vec<String> = shape
        .columns
        .iter()
        .filter(|column| !is_measure(shape, column))
        .map(|column| format!("u.{}", identifier(&column.name)))
        .collect();
    format!(
        "SELECT {} FROM (\n{rows}\nUNION ALL\n{pruned}\n) AS u GROUP BY {}",
        columns.join(", "),
        keys.join(", ")
    )
}

/// Rows of the baseline in `[from, to)`.
pub(super) fn range(shape: &Shape, from: &str, to: &str) -> String {
    Template::new("SELECT {{listed}} FROM {{base}} AS b WHERE b.bucket >= {{from}} AND b.bucket < {{to}}")
        .set("listed", part::listed(shape, "b"))
        .set("from", from.to_owned())
        .set("to", to.to_owned())
        .names(shape)
        .render()
}

/// Rows of the baseline in one claimed bucket `c`.
pub(super) fn of_claim(shape: &Shape) -> String {
    Template::new("SELECT {{listed}} FROM {{base}} AS b WHERE {{of_claim}}")
        .set("listed", part::listed(shape, "b"))
        .set("of_claim", part::of_claim(shape, "b"))
        .names(shape)
        .render()
}

/// Rows of the baseline in all claimed buckets `$1…`.
pub(super) fn claimed(shape: &Shape) -> String {
    Template::new("SELECT {{listed}} FROM {{claimed}} JOIN {{base}} AS b ON {{of_claim}}")
        .set("listed", part::listed(shape, "b"))
        .set("claimed", part::tenant(shape).claimed)
        .set("of_claim", part::of_claim(shape, "b"))
        .names(shape)
        .render()
}

/// The end of a read of cut buckets: part of a pruned bucket cannot be told, which is an error and not a wrong number.
pub(super) fn refuse_cut(shape: &Shape, of_tenant: &str) -> String {
    if shape.definition.keep_source.is_none() {
        return String::new();
    }
    // Everything in the CASE: conditions of one relation would be asked before the join.
    Template::new(
        "\nUNION ALL\nSELECT {{listed}} FROM bucket AS cut JOIN {{base}} AS b ON b.bucket = cut.at \
          WHERE CASE WHEN NOT cut.is_whole AND b.bucket = cut.at{{of_tenant}} \
                     THEN highwater.refuse_cut({{name_literal}}, b.bucket, $3) ELSE false END",
    )
    .set("listed", part::listed(shape, "b"))
    .set("of_tenant", of_tenant.to_owned())
    .names(shape)
    .render()
}

/// What a fold does with a row of the baseline that is there already.
pub(super) fn on_conflict(shape: &Shape) -> String {
    let set: Vec<String> = shape
        .measures()
        .map(|column| {
            let name = identifier(&column.name);
            let (old, new) = (format!("b.{name}"), format!("excluded.{name}"));
            format!("{name} = {}", aggregate(shape, column).of_two(&old, &new))
        })
        .collect();
    if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) }
}

fn is_measure(shape: &Shape, column: &Column) -> bool {
    shape.measures().any(|measure| measure.name == column.name)
}

/// The aggregate that merges a measure; [`Shape`] has refused those that have none.
fn aggregate(shape: &Shape, measure: &Column) -> Aggregate {
    combine::aggregate(shape, measure).expect("a shape with keep_source has only measures that can be merged")
}
