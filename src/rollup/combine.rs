//! How a measure of several buckets becomes one: added up, the least, the greatest, the union of sketches, or not at all.

use serde::Deserialize;

use super::quote::identifier;
use super::shape::Shape;
use super::source::Column;

/// How values of one measure are put together across buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    Sum,
    Min,
    Max,
    /// Sketches of distinct values, of the extension of that name.
    Hll,
    /// Sketches of a distribution, of the extension of that name.
    Tdigest,
    /// Such as a count of distinct values: no two of them make a third.
    None,
}

impl Combine {
    /// The extension that a measure of this kind is a type of.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Combine::Hll => Some("hll"),
            Combine::Tdigest => Some("tdigest"),
            Combine::Sum | Combine::Min | Combine::Max | Combine::None => None,
        }
    }
}

/// An aggregate that puts values of one measure together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Sum,
    Min,
    Max,
    Hll,
    Tdigest,
}

impl Aggregate {
    /// The aggregate over an SQL expression.
    pub fn of(self, expression: &str) -> String {
        let function = match self {
            Aggregate::Sum => "sum",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
            Aggregate::Hll => "hll_union_agg",
            Aggregate::Tdigest => "tdigest",
        };
        format!("{function}({expression})")
    }

    /// Two values put together; as in the aggregates, NULL counts for nothing.
    pub fn of_two(self, one: &str, other: &str) -> String {
        match self {
            Aggregate::Sum => format!("coalesce({one} + {other}, {one}, {other})"),
            Aggregate::Min => format!("least({one}, {other})"),
            Aggregate::Max => format!("greatest({one}, {other})"),
            Aggregate::Hll => format!("coalesce(hll_union({one}, {other}), {one}, {other})"),
            Aggregate::Tdigest => format!("coalesce(tdigest_union({one}, {other}), {one}, {other})"),
        }
    }

    /// Type of the result, as Postgres has it.
    pub fn result_type(self, type_name: &str) -> &str {
        match (self, type_name) {
            (Aggregate::Sum, "smallint" | "integer") => "bigint",
            (Aggregate::Sum, "bigint") => "numeric",
            (Aggregate::Sum, other) if other.starts_with("numeric") => "numeric",
            (_, other) => other,
        }
    }
}

/// Words of queries with a measure that may not add up. Which measure it is would need a parser: where one of these
/// stands in the query, every measure has to be declared.
const DOUBTFUL: [&str; 14] = [
    "distinct",
    "avg(",
    "avg (",
    "min(",
    "min (",
    "max(",
    "max (",
    "percentile",
    "mode(",
    "stddev",
    "var_",
    "variance",
    "corr(",
    "regr_",
];

/// The aggregate that combines a measure.
///
/// # Errors
///
/// Why it cannot be combined, and what to declare if it can.
pub fn aggregate(shape: &Shape, measure: &Column) -> Result<Aggregate, String> {
    let name = &measure.name;
    let adds_up = measure.category == "N" || measure.type_name == "interval";
    let sketch = |combine: Combine, aggregate| {
        let wanted = combine.extension().unwrap_or_default();
        if is_type(measure, wanted) {
            Ok(aggregate)
        } else {
            Err(format!("measure \"{name}\" is {} and not a sketch of type {wanted}", measure.type_name))
        }
    };
    match shape.definition.combine.get(name).copied() {
        Some(Combine::Sum) if !adds_up => {
            Err(format!("measure \"{name}\" is {}, which cannot be summed", measure.type_name))
        }
        Some(Combine::Sum) => Ok(Aggregate::Sum),
        Some(Combine::Min) => Ok(Aggregate::Min),
        Some(Combine::Max) => Ok(Aggregate::Max),
        Some(Combine::Hll) => sketch(Combine::Hll, Aggregate::Hll),
        Some(Combine::Tdigest) => sketch(Combine::Tdigest, Aggregate::Tdigest),
        Some(Combine::None) => {
            Err(format!("measure \"{name}\" is declared not additive: no two of its values make a third"))
        }
        None if !adds_up => Err(format!(
            "measure \"{name}\" is {} and nothing says how several buckets make one: [combine] {name} = \"min\" or \
             \"max\", or [measure.{name}] additive = false",
            measure.type_name
        )),
        None => {
            match DOUBTFUL.iter().find(|word| shape.definition.query.to_ascii_lowercase().contains(*word)) {
                Some(word) => Err(format!(
                    "measure \"{name}\" may not add up, since the query says \"{}\"; declare it in the definition: \
                 [combine] {name} = \"sum\", \"min\" or \"max\", or [measure.{name}] additive = false",
                    word.trim_end_matches([' ', '('])
                )),
                None => Ok(Aggregate::Sum),
            }
        }
    }
}

/// Whether a measure is declared a sketch. Its text is compared and not the value: types of extensions need not have an
/// equality, and sketches of the same rows have the same text.
pub fn is_sketch(shape: &Shape, measure: &Column) -> bool {
    shape.definition.combine.get(&measure.name).is_some_and(|combine| combine.extension().is_some())
}

/// The one measure of an SQL alias, ready to be compared.
pub fn comparable(shape: &Shape, measure: &Column, alias: &str) -> String {
    let value = format!("{alias}.{}", identifier(&measure.name));
    if is_sketch(shape, measure) { format!("{value}::text") } else { value }
}

/// Whether a column is of a type, whatever schema and modifiers its name is written with.
pub fn is_type(column: &Column, wanted: &str) -> bool {
    let name = column.type_name.split('(').next().unwrap_or_default();
    name.rsplit('.').next() == Some(wanted)
}
