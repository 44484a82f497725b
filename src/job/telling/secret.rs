//! Secrets by reference: the database names where whoever sends finds one, and never holds it.

use std::path::Path;

use super::Refusal;
use crate::ground::config;
use crate::job::JobError;

/// In the environment. Variables of other names are out of reach: whoever may add a channel could otherwise have the worker
/// send its database's password to a server of theirs.
const ENV: &str = "env:";
const PREFIX: &str = "HIGHWATER_SECRET_";

/// In a file, by its absolute path.
const FILE: &str = "file:";

/// Largest secret, in bytes: a URL or a key, not somebody's database.
const MOST_BYTES: u64 = 8_192;

/// Whether a text refers to a secret.
pub fn is_reference(text: &str) -> bool {
    text.starts_with(ENV) || text.starts_with(FILE)
}

/// Looks at a reference, not behind it.
///
/// # Errors
///
/// [`JobError::Invalid`] with what is allowed. The text is not repeated: it may be the secret itself.
pub fn check(text: &str) -> Result<(), JobError> {
    let is_good = match (text.strip_prefix(ENV), text.strip_prefix(FILE)) {
        (Some(name), _) => name.strip_prefix(PREFIX).is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || one == b'_')
        }),
        (_, Some(path)) => Path::new(path).is_absolute() && path.len() > 1,
        (None, None) => false,
    };
    if is_good {
        return Ok(());
    }
    Err(JobError::Invalid(format!(
        "a secret is named, not given: {ENV}{PREFIX}NAME for a variable in the environment of the worker, or {FILE}/PATH for a \
         file that it can read"
    )))
}

/// Reads what a reference refers to, without white space at its end.
///
/// # Errors
///
/// [`Refusal`] with the reference, which is no secret.
pub fn read(reference: &str) -> Result<String, Refusal> {
    let missing = |why: &str| Refusal::new(format!("the secret {reference} {why}"));
    check(reference).map_err(|error| Refusal::new(error.to_string()))?;
    if let Some(name) = reference.strip_prefix(ENV) {
        return config::env(name).ok_or_else(|| missing("is not set in the environment of the worker"));
    }
    let path = Path::new(reference.strip_prefix(FILE).unwrap_or_default());
    let size = std::fs::metadata(path).map_err(|error| missing(&format!("cannot be read: {error}")))?.len();
    if size > MOST_BYTES {
        return Err(missing(&format!("has more than {MOST_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| missing(&format!("cannot be read: {error}")))?;
    match text.trim_end() {
        "" => Err(missing("is empty")),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_and_never_repeated() {
        for good in ["env:HIGHWATER_SECRET_HOOK", "file:/run/secrets/hook"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["hunter2", "env:DATABASE_URL", "env:HIGHWATER_SECRET_", "file:relative", "file:/", ""] {
            let error = check(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(&format!("\"{bad}\"")), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "sesame\n").unwrap();
        assert_eq!(read(&format!("file:{}", path.display())).unwrap(), "sesame");
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&format!("file:{}", path.display())).unwrap_err().reason.ends_with("is empty"));
    }
}
