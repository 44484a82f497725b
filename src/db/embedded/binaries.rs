//! Where the PostgreSQL server's programs are on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;
use super::account::Account;
use crate::ground::config;

/// Environment variable that names the directory of `postgres` and `initdb`.
pub const BIN_VARIABLE: &str = "HIGHWATER_PG_BIN";

/// The oldest major version that highwater supports.
const OLDEST_MAJOR: u32 = 15;

/// Parents of versioned installations, and the path from a version's directory to its programs.
const SYSTEM_DIRECTORIES: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// One installation of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    pub directory: PathBuf,
    /// As the programs print it: `15.20`.
    pub version: String,
    pub major: u32,
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Finds binaries that `account` can run, of version `major` if given.
///
/// `HIGHWATER_PG_BIN` alone if it is set; else system directories with the highest version first, `PATH`, and what
/// `pg_config` says.
///
/// # Errors
///
/// [`EmbeddedError::BadBinaries`] for a wrong `HIGHWATER_PG_BIN`, [`EmbeddedError::NoBinaries`], or
/// [`EmbeddedError::OtherMajor`] when binaries were found, but none of version `major`; `data` is named in it.
pub fn find(account: &Account, major: Option<u32>, data: &Path) -> Result<Binaries, EmbeddedError> {
    let named = config::env_path(BIN_VARIABLE);
    let candidates = named.as_ref().map_or_else(candidates, |directory| vec![directory.clone()]);
    let mut looked_at = Vec::new();
    let mut other_major = false;
    for directory in candidates {
        match inspect(&directory, account) {
            Ok(binaries) if major.is_none_or(|major| major == binaries.major) => return Ok(binaries),
            Ok(binaries) => {
                other_major = true;
                looked_at.push(format!("{} is {}", directory.display(), binaries.version));
            }
            Err(reason) if named.is_some() => return Err(EmbeddedError::BadBinaries { directory, reason }),
            Err(reason) => looked_at.push(format!("{}: {reason}", directory.display())),
        }
    }
    if looked_at.is_empty() {
        looked_at.push("/usr/lib/postgresql, /usr/pgsql-*, PATH, pg_config".to_owned());
    }
    let looked_at = looked_at.join("; ");
    match major.filter(|_| other_major) {
        Some(major) => Err(EmbeddedError::OtherMajor { data: data.to_owned(), major, looked_at }),
        None => Err(EmbeddedError::NoBinaries { looked_at }),
    }
}

/// Directories that hold a file `postgres`, in the order of the search, each once.
fn candidates() -> Vec<PathBuf> {
    let mut found = system_directories();
    if let Some(path) = config::env("PATH") {
        // A `postgres` on the PATH may be a link; its siblings are where it really lies.
        found.extend(std::env::split_paths(&path).filter_map(|directory| {
            directory.join("postgres").canonicalize().ok()?.parent().map(Path::to_owned)
        }));
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let mut unique = Vec::new();
    for directory in found {
        if directory.join("postgres").is_file() && !unique.contains(&directory) {
            unique.push(directory);
        }
    }
    unique
}

fn system_directories() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix, programs) in SYSTEM_DIRECTORIES {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
            if let Some(number) = number {
                versions.push((number, entry.path().join(programs)));
            }
        }
    }
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

/// Checks that `directory` can be used, and learns its version.
fn inspect(directory: &Path, account: &Account) -> Result<Binaries, String> {
    if let Some(missing) = ["postgres", "initdb"].iter().find(|name| !directory.join(name).is_file()) {
        return Err(format!("it holds no \"{missing}\""));
    }
    match account.blocked_at(directory) {
        Ok(None) => {}
        Ok(Some(at)) => {
            return Err(format!("user \"{}\" may not pass through {}", account.name, at.display()));
        }
        Err(error) => return Err(error.to_string()),
    }
    let output = Command::new(directory.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| format!("cannot run its \"postgres\": {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let (version, major) =
        parse_version(&printed).ok_or_else(|| format!("its \"postgres\" printed \"{}\"", printed.trim()))?;
    if major < OLDEST_MAJOR {
        return Err(format!("version {version} is too old, {OLDEST_MAJOR} is needed"));
    }
    Ok(Binaries { directory: directory.to_owned(), version, major })
}

/// Reads `postgres (PostgreSQL) 15.20 (Debian 15.20-1)`, or `... 19devel`.
fn parse_version(printed: &str) -> Option<(String, u32)> {
    let version = printed.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version.to_owned(), version[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        let read = |printed| parse_version(printed).map(|(version, major)| format!("{version} {major}"));
        assert_eq!(read("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n").unwrap(), "15.20 15");
        assert_eq!(read("postgres (PostgreSQL) 19devel\n").unwrap(), "19devel 19");
        assert_eq!(read("postgres: command not found"), None);
    }
}
