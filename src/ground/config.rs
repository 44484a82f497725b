//! The one place that reads the environment.

use std::path::PathBuf;

/// Value of an environment variable; empty and non-UTF-8 values count as unset.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Like [`env()`], as a path.
pub fn env_path(name: &str) -> Option<PathBuf> {
    env(name).map(PathBuf::from)
}

/// Names of the environment variables that begin with `prefix`; non-UTF-8 names are left out.
pub fn names(prefix: &str) -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect()
}
