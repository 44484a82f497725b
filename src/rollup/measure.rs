//! Measures as readers see them: stored ones, put together where an answer holds several buckets, and those that are
//! made of stored ones in the end, such as a mean of a sum and a count.

use serde::Deserialize;

use super::combine::{self, Aggregate, Combine};
use super::quote::identifier;
use super::shape::Shape;
use super::source::Column;

/// What `[measure.NAME]` may say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    additive: Option<bool>,
    average: Option<Average>,
    distinct: Option<String>,
    percentile: Option<Percentile>,
}

/// A sum by a count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    pub sum: String,
    pub count: String,
}

/// A percentile out of a sketch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentile {
    pub of: String,
    /// From 0 to 1.
    pub at: f64,
}

/// A measure that no column holds: what it is made of does combine, and it itself does not.
#[derive(Debug, Clone, PartialEq)]
pub enum Derived {
    Average(Average),
    /// How many distinct values a sketch of type hll has seen, about.
    Distinct(String),
    /// Of a sketch of type tdigest, about.
    Percentile(Percentile),
}

/// What a declaration comes to.
pub enum Declared {
    Stored(Combine),
    Derived(Derived),
}

impl Declaration {
    /// Reads one; `name` is the measure's.
    ///
    /// # Errors
    ///
    /// What is wrong, for a person.
    pub fn read(self, name: &str) -> Result<Declared, String> {
        let derived = match self {
            Declaration { additive: Some(additive), average: None, distinct: None, percentile: None } => {
                return Ok(Declared::Stored(if additive { Combine::Sum } else { Combine::None }));
            }
            Declaration { additive: None, average: Some(average), distinct: None, percentile: None } => {
                Derived::Average(average)
            }
            Declaration { additive: None, average: None, distinct: Some(of), percentile: None } => {
                Derived::Distinct(of)
            }
            Declaration { additive: None, average: None, distinct: None, percentile: Some(percentile) } => {
                Derived::Percentile(percentile)
            }
            _ => {
                return Err(format!(
                    "[measure.{name}] says one thing: additive = true or false, average = {{ sum = …, count = … }}, \
                     distinct = … or percentile = {{ of = …, at = … }}"
                ));
            }
        };
        if let Derived::Percentile(Percentile { at, .. }) = &derived
            && !(0.0..=1.0).contains(at)
        {
            return Err(format!("[measure.{name}] percentile is at {at}; it lies from 0 to 1"));
        }
        Ok(Declared::Derived(derived))
    }
}

impl Derived {
    /// The stored measures that it is made of, each with how they have to combine.
    fn parts(&self) -> Vec<(&str, Aggregate)> {
        match self {
            Derived::Average(average) => {
                vec![(&average.sum, Aggregate::Sum), (&average.count, Aggregate::Sum)]
            }
            Derived::Distinct(of) => vec![(of, Aggregate::Hll)],
            Derived::Percentile(percentile) => vec![(&percentile.of, Aggregate::Tdigest)],
        }
    }

    /// As an SQL expression over what it is made of, combined already, as columns of `alias`.
    pub fn of(&self, shape: &Shape, alias: &str) -> String {
        let column = |name: &str| format!("{alias}.{}", identifier(name));
        match self {
            Derived::Average(average) => {
                let (sum, count) = (column(&average.sum), column(&average.count));
                match self.type_name(shape) {
                    "interval" => format!("{sum} / nullif({count}, 0)::double precision"),
                    other => format!("{sum}::{other} / nullif({count}, 0)"),
                }
            }
            Derived::Distinct(of) => format!("hll_cardinality({})", column(of)),
            // An aggregate by itself, of the one digest.
            Derived::Percentile(percentile) => format!(
                "(SELECT tdigest_percentile(one.digest, {:?}) FROM (SELECT {}) AS one (digest))",
                percentile.at,
                column(&percentile.of)
            ),
        }
    }

    /// Type of the expression.
    pub fn type_name(&self, shape: &Shape) -> &'static str {
        match self {
            Derived::Average(average) => {
                match stored(shape, &average.sum).map(|sum| sum.type_name.as_str()) {
                    Some("interval") => "interval",
                    Some("real" | "double precision") => "double precision",
                    Some(_) | None => "numeric",
                }
            }
            Derived::Distinct(_) | Derived::Percentile(_) => "double precision",
        }
    }
}

fn stored<'a>(shape: &'a Shape, name: &str) -> Option<&'a Column> {
    shape.measures().find(|measure| measure.name == name)
}

/// Whether everything that is declared of measures fits the query.
///
/// # Errors
///
/// What does not, for a person.
pub fn check(shape: &Shape) -> Result<(), String> {
    let definition = &shape.definition;
    for (name, combine) in &definition.combine {
        let Some(measure) = stored(shape, name) else {
            return Err(format!("combine names \"{name}\", which is no measure of the query"));
        };
        if combine.extension().is_some() {
            combine::aggregate(shape, measure)?;
        }
        let is_ordered = definition.query.to_ascii_lowercase().contains("order by");
        if *combine == Combine::Tdigest && !is_ordered {
            return Err(format!(
                "the sketch \"{name}\" depends on the order of the rows, so that two runs may differ; write \
                 tdigest(VALUE, COMPRESSION ORDER BY VALUE)"
            ));
        }
        if *combine == Combine::Tdigest && definition.keep_source.is_some() {
            return Err(format!(
                "keep_source merges what was pruned with what came later, and the sketch \"{name}\" of merged parts is not \
                 that of the whole; leave out one of the two"
            ));
        }
    }
    for (name, derived) in &definition.derived {
        if shape.columns.iter().any(|column| column.name == *name) {
            return Err(format!(
                "[measure.{name}] is made of other measures, and the query returns a column of that name"
            ));
        }
        for (part, wanted) in derived.parts() {
            let Some(measure) = stored(shape, part) else {
                return Err(format!(
                    "[measure.{name}] is made of \"{part}\", which is no measure of the query"
                ));
            };
            let found = combine::aggregate(shape, measure)
                .map_err(|reason| format!("[measure.{name}] is made of \"{part}\": {reason}"))?;
            if found != wanted {
                let word = match wanted {
                    Aggregate::Hll => "hll",
                    Aggregate::Tdigest => "tdigest",
                    Aggregate::Sum | Aggregate::Min | Aggregate::Max => "sum",
                };
                return Err(format!(
                    "[measure.{name}] is made of \"{part}\"; declare [combine] {part} = \"{word}\""
                ));
            }
        }
    }
    Ok(())
}

/// A measure of a read.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    pub name: String,
    pub value: Value,
}

/// Where its values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A column of the rollup, combined so.
    Combined(Aggregate),
    /// A column of the rollup of which every answer has to be a single row, and why.
    Single(String),
    Derived(Derived),
}

/// Every measure that a rollup has, derived ones last.
pub fn all(shape: &Shape) -> Vec<Given> {
    let stored = shape.measures().map(|measure| Given {
        name: measure.name.clone(),
        value: combine::aggregate(shape, measure).map_or_else(Value::Single, Value::Combined),
    });
    let derived = shape
        .definition
        .derived
        .iter()
        .map(|(name, derived)| Given { name: name.clone(), value: Value::Derived(derived.clone()) });
    stored.chain(derived).collect()
}

/// The measures that are wanted, in the rollup's order; none wanted stands for all but the bytes of sketches.
///
/// # Errors
///
/// Which one the rollup does not have.
pub fn wanted(shape: &Shape, wanted: &[String]) -> Result<Vec<Given>, String> {
    let mut found = all(shape);
    if let Some(unknown) = wanted.iter().find(|name| !found.iter().any(|given| given.name == **name)) {
        let known: Vec<&str> = found.iter().map(|given| given.name.as_str()).collect();
        return Err(format!("has no measure \"{unknown}\"; it has {}", known.join(", ")));
    }
    let is_bytes =
        |given: &Given| matches!(given.value, Value::Combined(Aggregate::Hll | Aggregate::Tdigest));
    found.retain(|given| if wanted.is_empty() { !is_bytes(given) } else { wanted.contains(&given.name) });
    Ok(found)
}

/// Columns of the rollup that measures are taken from, each once, with how they combine.
pub fn columns<'a>(shape: &'a Shape, given: &'a [Given]) -> Vec<(&'a Column, Option<Aggregate>)> {
    let is_used = |measure: &Column| -> Option<Option<Aggregate>> {
        given.iter().find_map(|given| match &given.value {
            Value::Combined(aggregate) if given.name == measure.name => Some(Some(*aggregate)),
            Value::Single(_) if given.name == measure.name => Some(None),
            Value::Derived(derived) => derived
                .parts()
                .into_iter()
                .find(|(part, _)| *part == measure.name)
                .map(|(_, aggregate)| Some(aggregate)),
            Value::Combined(_) | Value::Single(_) => None,
        })
    };
    shape.measures().filter_map(|measure| Some((measure, is_used(measure)?))).collect()
}

#[cfg(test)]
mod tests {
    use crate::rollup::definition::Definition;

    const GOOD: &str = include_str!("../../sql/rollups/usage_hourly.toml");

    fn refused(more: &str) -> String {
        Definition::parse(&format!("{GOOD}\n{more}\n"), "x.toml").unwrap_err().to_string()
    }

    #[test]
    fn a_declaration_says_one_thing() {
        let both = refused("[measure.event_count]\nadditive = false\ndistinct = 'event_count'");
        assert!(both.contains("[measure.event_count] says one thing"), "{both}");
        let twice = refused("[combine]\nevent_count = 'sum'\n[measure.event_count]\nadditive = false");
        assert!(twice.contains("both in [combine] and in [measure.event_count]"), "{twice}");
        let beyond = refused("[measure.p]\npercentile = { of = 'event_count', at = 95.0 }");
        assert!(beyond.contains("at 95; it lies from 0 to 1"), "{beyond}");
        let unknown = refused("[measure.p]\nmedian = 'event_count'");
        assert!(unknown.contains("median"), "{unknown}");
    }
}
