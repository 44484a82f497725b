//! A definition file: what one rollup counts, from where, by what.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::combine::Combine;
use super::error::RollupError;
use super::keep::Keep;
use super::measure::{Declaration, Declared, Derived};
use super::name::RollupName;

/// Unqualified names in a definition's SQL resolve here unless it says otherwise.
const DEFAULT_SEARCH_PATH: [&str; 2] = ["public", "highwater"];

/// Width of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Grain {
    #[serde(rename = "15m")]
    QuarterHour,
    #[serde(rename = "30m")]
    HalfHour,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "1d")]
    Day,
}

impl Grain {
    /// As an SQL interval literal.
    pub fn interval(self) -> &'static str {
        match self {
            Grain::QuarterHour => "interval '15 minutes'",
            Grain::HalfHour => "interval '30 minutes'",
            Grain::Hour => "interval '1 hour'",
            Grain::Day => "interval '1 day'",
        }
    }

    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Grain::QuarterHour => "15 minutes",
            Grain::HalfHour => "30 minutes",
            Grain::Hour => "1 hour",
            Grain::Day => "1 day",
        }
    }

    /// Whether an instant is where one bucket ends and the next begins.
    ///
    /// ```
    /// use highwater::rollup::definition::Grain;
    /// let noon = "2024-03-05T12:00:00Z".parse().unwrap();
    /// assert!(Grain::Hour.is_boundary(noon) && !Grain::Day.is_boundary(noon));
    /// ```
    pub fn is_boundary(self, instant: DateTime<Utc>) -> bool {
        let seconds = match self {
            Grain::QuarterHour => 900,
            Grain::HalfHour => 1800,
            Grain::Hour => 3600,
            Grain::Day => 86_400,
        };
        // Buckets are counted from a midnight in UTC, as these seconds are.
        instant.timestamp().rem_euclid(seconds) == 0 && instant.timestamp_subsec_nanos() == 0
    }
}

/// A joined table whose changes move history between keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// As written: `schema.table`, or `table` to be found on the search path.
    pub table: String,
    /// Column whose value `affects` finds in `changed.key`.
    pub key: String,
    /// Columns that the query or `affects` takes from the table: an UPDATE of any other is no change.
    pub columns: Vec<String>,
    /// A SELECT from `changed` that returns tenant and time of every event that a changed key touches.
    pub affects: String,
}

/// A checked definition, together with the text it came from.
#[derive(Debug, Clone)]
pub struct Definition {
    pub name: RollupName,
    /// As written: `schema.table`, or `table` to be found on the search path.
    pub source: String,
    /// As written; `None` means `highwater.NAME`.
    pub target: Option<String>,
    pub time: String,
    /// Zone of a `timestamp without time zone` column; `None` means UTC.
    pub zone: Option<String>,
    pub tenant: Option<String>,
    pub grain: Grain,
    pub key: Vec<String>,
    /// Measures that two runs over the same rows may compute differently, with the relative difference allowed.
    pub tolerance: BTreeMap<String, f64>,
    /// How measures of several buckets make one; the others are added up.
    pub combine: BTreeMap<String, Combine>,
    /// Measures that reads make of stored ones.
    pub derived: BTreeMap<String, Derived>,
    /// Raw events of months that ended longer ago than this may be pruned; `None` keeps them.
    pub keep_source: Option<Keep>,
    /// Months of the rollup that ended longer ago than this are dropped; `None` keeps them.
    pub keep: Option<Keep>,
    /// Extra indexes of the target, each a list of columns.
    pub index: Vec<Vec<String>>,
    pub search_path: Vec<String>,
    pub query: String,
    pub watch: Vec<Watch>,
    /// The file as it was read.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    source: String,
    target: Option<String>,
    time: String,
    zone: Option<String>,
    tenant: Option<String>,
    grain: Grain,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    tolerance: BTreeMap<String, f64>,
    #[serde(default)]
    combine: BTreeMap<String, Combine>,
    #[serde(default)]
    measure: BTreeMap<String, Declaration>,
    keep_source: Option<Keep>,
    keep: Option<Keep>,
    #[serde(default)]
    index: Vec<Vec<String>>,
    search_path: Option<Vec<String>>,
    query: String,
    #[serde(default)]
    watch: Vec<Watch>,
}

impl Definition {
    /// Reads a definition; `origin` names the file in errors.
    ///
    /// # Errors
    ///
    /// [`RollupError::Definition`] with what is wrong, where, and what is allowed.
    pub fn parse(text: &str, origin: &str) -> Result<Definition, RollupError> {
        let wrong = |reason: String| RollupError::Definition { origin: origin.to_owned(), reason };
        let file: File =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        let name = RollupName::parse(&file.name).map_err(wrong)?;
        let query = statement("query", &file.query).map_err(wrong)?;
        let mut watch = file.watch;
        for one in &mut watch {
            one.affects = statement(&format!("affects of the watched table {}", one.table), &one.affects)
                .map_err(wrong)?;
            if one.columns.is_empty() {
                return Err(wrong(format!(
                    "columns of the watched table {} is empty; name those that query and affects read",
                    one.table
                )));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for column in file.tenant.iter().chain(&file.key) {
            if column == "bucket" || !seen.insert(column) {
                return Err(wrong(format!(
                    "\"{column}\" is named twice in the key; the key is tenant, bucket, then the columns of key"
                )));
            }
        }
        if let Some((column, tolerance)) =
            file.tolerance.iter().find(|(_, value)| !(0.0..1.0).contains(*value))
        {
            return Err(wrong(format!(
                "tolerance of \"{column}\" is {tolerance}; it is relative, from 0 to below 1"
            )));
        }
        let mut combine = file.combine;
        let mut derived = BTreeMap::new();
        for (measure, declaration) in file.measure {
            let declared = declaration.read(&measure).map_err(wrong)?;
            if combine.contains_key(&measure) {
                return Err(wrong(format!(
                    "\"{measure}\" is both in [combine] and in [measure.{measure}]; leave out one of the two"
                )));
            }
            match declared {
                Declared::Stored(how) => {
                    combine.insert(measure, how);
                }
                Declared::Derived(made) => {
                    derived.insert(measure, made);
                }
            }
        }
        Ok(Definition {
            name,
            source: file.source,
            target: file.target,
            time: file.time,
            zone: file.zone,
            tenant: file.tenant,
            grain: file.grain,
            key: file.key,
            tolerance: file.tolerance,
            combine,
            derived,
            keep_source: file.keep_source,
            keep: file.keep,
            index: file.index,
            search_path: file.search_path.unwrap_or_else(|| DEFAULT_SEARCH_PATH.map(str::to_owned).to_vec()),
            query,
            watch,
            text: text.to_owned(),
        })
    }

    /// SHA-256 of the text, lower-case hex.
    pub fn sha256(&self) -> String {
        Sha256::digest(self.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A statement as it can stand in parentheses and between dollar quotes.
fn statement(what: &str, written: &str) -> Result<String, String> {
    let text = written.trim().trim_end_matches(';').trim_end().to_owned();
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.contains(super::render::DOLLAR_TAG_WORD) {
        return Err(format!("{what} must not contain \"{}\"", super::render::DOLLAR_TAG_WORD));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../sql/rollups/usage_hourly.toml");

    #[test]
    fn the_built_in_definition_is_read() {
        let definition = Definition::parse(GOOD, "usage_hourly.toml").unwrap();
        assert_eq!(definition.name.as_str(), "usage_hourly");
        assert_eq!(definition.key, ["runtime", "agent", "project", "provider", "model"]);
        assert_eq!(definition.grain, Grain::Hour);
        assert_eq!(definition.sha256().len(), 64);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Definition::parse(&GOOD.replace("grain ", "grian "), "x.toml").unwrap_err().to_string();
        assert!(error.contains("x.toml") && error.contains("grian") && error.contains("line 6"), "{error}");
    }

    #[test]
    fn a_key_that_repeats_the_tenant_is_refused() {
        let text = GOOD.replace("key    = [", "key    = [\"tenant\", ");
        let error = Definition::parse(&text, "x.toml").unwrap_err().to_string();
        assert!(error.contains("\"tenant\" is named twice"), "{error}");
    }
}
