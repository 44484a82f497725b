//! What a worker can be told in a file, and told again while it works.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::SchedulerError;
use crate::ground::logging;

/// Most runs at once of one worker: each may hold a connection.
pub const MOST_CONCURRENCY: u16 = 1000;

/// What may change while a worker works; looked at in each round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Runs at once. Each rollup's drain is one, all the time.
    pub concurrency: usize,
    /// How long runs in hand may take to end after the first signal.
    pub drain_timeout: Duration,
    /// Whether jobs that start programs are taken.
    pub allows_commands: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { concurrency: 64, drain_timeout: Duration::from_secs(30), allows_commands: false }
    }
}

/// A worker's configuration file, in TOML; whatever is left out is as without a file.
///
/// ```
/// use highwater::scheduler::settings::Settings;
/// let settings = Settings::parse("concurrency = 8\ndrain_timeout = \"1m\"\nlog = \"info\"", "worker.toml").unwrap();
/// assert_eq!(settings.concurrency, Some(8));
/// assert!(Settings::parse("concurency = 8", "worker.toml").unwrap_err().to_string().contains("concurency"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Filter of the log: `info`, `highwater=debug`.
    pub log: Option<String>,
    /// Runs at once.
    pub concurrency: Option<u16>,
    /// How long runs in hand may take to end when the worker is asked to.
    #[serde(default, deserialize_with = "duration")]
    pub drain_timeout: Option<Duration>,
    /// Whether jobs that start programs are taken.
    pub allow_commands: Option<bool>,
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::Invalid`], naming the file, the place and what is allowed there.
    pub fn read(path: &Path) -> Result<Settings, SchedulerError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| SchedulerError::Invalid(format!("cannot read {origin}: {error}")))?;
        Settings::parse(&text, &origin)
    }

    /// Reads a text; `origin` names it in errors.
    ///
    /// # Errors
    ///
    /// As [`Settings::read`].
    pub fn parse(text: &str, origin: &str) -> Result<Settings, SchedulerError> {
        let invalid = |reason: String| SchedulerError::Invalid(format!("{origin}: {}", reason.trim_end()));
        let settings: Settings = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if settings.concurrency.is_some_and(|runs| !(1..=MOST_CONCURRENCY).contains(&runs)) {
            return Err(invalid(format!("concurrency must be between 1 and {MOST_CONCURRENCY}")));
        }
        if let Some(log) = &settings.log {
            logging::check(log).map_err(|reason| invalid(format!("log: {reason}")))?;
        }
        Ok(settings)
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_refused_in_words_that_name_the_place() {
        for (text, words) in [
            ("concurrency = 0", "worker.toml: concurrency must be between 1 and 1000"),
            ("drain_timeout = \"soon\"", "drain_timeout"),
            ("drain_timeout = 30", "drain_timeout"),
            ("log = \"highwater=loud\"", "worker.toml: log: "),
            ("allow_commands = \"yes\"", "allow_commands"),
            ("allow_comands = true", "allow_comands"),
            ("concurrency =", "line 1"),
        ] {
            let refused = Settings::parse(text, "worker.toml").unwrap_err().to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
        assert_eq!(Settings::parse("", "worker.toml").unwrap(), Settings::default());
    }
}
