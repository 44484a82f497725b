//! A service file: named sets of parameters, between the connection string and the PG* variables in rank.

use std::path::{Path, PathBuf};

use super::Parameters;
use crate::db::DbError;
use crate::ground::config;

/// Adds what the service that is named has, if one is named.
pub fn add(parameters: &mut Parameters) -> Result<(), DbError> {
    let (name, origin) = match parameters.get("service") {
        Some(name) => (name.to_owned(), parameters.origin("service")),
        None => match config::env("PGSERVICE") {
            Some(name) => (name, "PGSERVICE"),
            None => return Ok(()),
        },
    };
    let bad = |reason: String| DbError::BadUrl { origin, reason };
    let files = match parameters
        .get("servicefile")
        .map(PathBuf::from)
        .or_else(|| config::env_path("PGSERVICEFILE"))
    {
        // A file that is named must be there; the usual places need not.
        Some(file) if !file.exists() => {
            return Err(bad(format!("service file {} not found", file.display())));
        }
        Some(file) => vec![file],
        None => places(),
    };
    for file in files.iter().filter(|file| file.exists()) {
        let text = std::fs::read_to_string(file)
            .map_err(|error| bad(format!("cannot read service file {}: {error}", file.display())))?;
        if let Some(pairs) = section(&text, &name, file).map_err(bad)? {
            for (name, value) in pairs {
                parameters.add(&name, value, "the service file")?;
            }
            return Ok(());
        }
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Err(bad(format!("service \"{name}\" not found in {}", names.join(" or "))))
}

/// A user's own file first, then the system's.
fn places() -> Vec<PathBuf> {
    let own = config::env_path("HOME").map(|home| home.join(".pg_service.conf"));
    let system = config::env_path("PGSYSCONFDIR").unwrap_or_else(|| PathBuf::from("/etc/postgresql-common"));
    own.into_iter().chain([system.join("pg_service.conf")]).collect()
}

/// The pairs of one section; `None` when the file has no such section.
fn section(text: &str, name: &str, file: &Path) -> Result<Option<Vec<(String, String)>>, String> {
    let mut found: Option<Vec<(String, String)>> = None;
    for (number, line) in text.lines().enumerate().map(|(place, line)| (place + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if head.strip_suffix(']') == Some(name) {
                found = Some(Vec::new());
            }
        } else if let Some(pairs) = &mut found {
            let (name, value) = line.split_once('=').ok_or_else(|| {
                format!("service file {}, line {number}: expected name=value", file.display())
            })?;
            if name.trim() == "service" {
                return Err(format!(
                    "service file {}, line {number}: a service cannot name another",
                    file.display()
                ));
            }
            pairs.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "# ours\n[a]\nhost=one\n\n[b]\nhost = two\nport=6000\n[c]\nhost=three\n";
        let file = Path::new("/x");
        let pairs = section(text, "b", file).unwrap().unwrap();
        assert_eq!(pairs, [("host".to_owned(), "two".to_owned()), ("port".to_owned(), "6000".to_owned())]);
        assert_eq!(section(text, "d", file).unwrap(), None);
        let error = section("[a]\nhost\n", "a", file).unwrap_err();
        assert!(error.contains("line 2"), "{error}");
    }
}
