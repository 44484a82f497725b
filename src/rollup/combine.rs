//! How a measure of several buckets becomes one: added up, the least, the greatest, or not at all.

use serde::Deserialize;

use super::shape::Shape;
use super::source::Column;

/// How values of one measure are put together across buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    Sum,
    Min,
    Max,
    /// Such as a count of distinct values: no two of them make a third.
    None,
}

impl Combine {
    /// The aggregate that does it; `None` when there is none.
    pub fn aggregate(self) -> Option<&'static str> {
        match self {
            Combine::Sum => Some("sum"),
            Combine::Min => Some("min"),
            Combine::Max => Some("max"),
            Combine::None => None,
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
pub fn aggregate(shape: &Shape, measure: &Column) -> Result<&'static str, String> {
    let name = &measure.name;
    let adds_up = measure.category == "N" || measure.type_name == "interval";
    match shape.definition.combine.get(name).copied() {
        Some(Combine::Sum) if !adds_up => {
            Err(format!("measure \"{name}\" is {}, which cannot be summed", measure.type_name))
        }
        Some(declared) => declared.aggregate().ok_or_else(|| {
            format!(
                "measure \"{name}\" cannot be put together from several buckets: [combine] {name} = \"none\""
            )
        }),
        None if !adds_up => Err(format!(
            "measure \"{name}\" is {} and no [combine] says how several buckets make one: \"min\", \"max\" or \"none\"",
            measure.type_name
        )),
        None => {
            match DOUBTFUL.iter().find(|word| shape.definition.query.to_ascii_lowercase().contains(*word)) {
                Some(word) => Err(format!(
                    "measure \"{name}\" may not add up, since the query says \"{}\"; declare it in the definition: \
                 [combine] {name} = \"sum\", \"min\", \"max\" or \"none\"",
                    word.trim_end_matches([' ', '('])
                )),
                None => Ok("sum"),
            }
        }
    }
}
