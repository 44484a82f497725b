//! How files and history differ. All differences are found, not the first, and each says what it is worth.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::file::MigrationFile;
use super::history::{Applied, History};
use super::ledger::Run;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "drift", rename_all = "snake_case")]
pub enum Drift {
    /// An applied file was edited or renamed.
    Edited { file: PathBuf, version: i64, change: Change },
    /// An applied version has no file.
    Missing { version: i64, name: String },
    /// A file that was never applied lies before the newest applied one.
    OutOfOrder { file: PathBuf, version: i64, newest: i64 },
    /// A rollup's definition was edited after the migration that installed it.
    Definition { file: PathBuf, version: i64 },
    /// A row of the history was edited by hand.
    History { version: Option<i64>, fault: String },
}

/// What an edit changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    LineEnds,
    /// Comments or spacing; the statements are the same.
    Comments,
    Sql,
    Renamed {
        from: String,
    },
    /// Applied by another tool, which kept nothing to compare the statements with.
    Unknown,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Drift::Edited { file, change, .. } => {
                let file = file.display();
                match change {
                    Change::LineEnds => {
                        write!(formatter, "{file}: only line ends differ from what was applied; restore them")
                    }
                    Change::Comments => write!(
                        formatter,
                        "{file}: only comments or spacing differ from what was applied; restore them"
                    ),
                    Change::Sql => write!(
                        formatter,
                        "{file}: the SQL differs from what was applied; restore it and put the change in a new version"
                    ),
                    Change::Renamed { from } => {
                        write!(formatter, "{file}: was applied under the name \"{from}\"; name it so again")
                    }
                    Change::Unknown => write!(
                        formatter,
                        "{file}: differs from what was applied, by another tool, so whether its SQL changed is not known; restore it"
                    ),
                }
            }
            Drift::Missing { version, name } => {
                write!(formatter, "V{version}__{name}: was applied, but its file is missing; restore it")
            }
            Drift::OutOfOrder { file, version, newest } => write!(
                formatter,
                "{}: version {version} was never applied, but {newest} was; give it a version above {newest}",
                file.display()
            ),
            Drift::Definition { file, version } => write!(
                formatter,
                "{}: edited after version {version} installed it; restore it and install the change with a new version",
                file.display()
            ),
            Drift::History { version: Some(version), fault } => {
                write!(
                    formatter,
                    "history row of version {version} was edited by hand: {fault}; correct the row"
                )
            }
            Drift::History { version: None, fault } => {
                write!(formatter, "a history row was edited by hand: {fault}; correct the row")
            }
        }
    }
}

/// Compares the files of one scope, by version, with its history.
pub fn compare(files: &[MigrationFile], history: &History, runs: &BTreeMap<i64, Run>) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for broken in &history.broken {
        drifts.push(Drift::History { version: broken.version, fault: broken.fault.clone() });
    }
    for applied in &history.applied {
        let Some(file) = files.iter().find(|file| file.version == applied.version) else {
            drifts.push(Drift::Missing { version: applied.version, name: applied.name.clone() });
            continue;
        };
        let run = runs.get(&applied.version);
        let untouched = run.is_some_and(|run| run.sha256 == file.sha256());
        if applied.name == file.name && applied.checksum != file.checksum() && untouched {
            let fault = format!("checksum {} is not that of the file that was applied", applied.checksum);
            drifts.push(Drift::History { version: Some(applied.version), fault });
        } else if applied.checksum != file.checksum() || applied.name != file.name {
            let change = change(file, applied, run);
            drifts.push(Drift::Edited { file: file.path.clone(), version: file.version, change });
        }
        let installed = run.map(|run| run.definition_sha256.as_slice()).unwrap_or_default();
        for (definition, installed) in file.definitions.iter().zip(installed) {
            if definition.sha256() != *installed {
                drifts.push(Drift::Definition { file: definition.path.clone(), version: file.version });
            }
        }
    }
    if let Some(newest) = history.newest() {
        let late = files.iter().filter(|file| file.version < newest && !history.holds(file.version));
        drifts.extend(late.map(|file| Drift::OutOfOrder {
            file: file.path.clone(),
            version: file.version,
            newest,
        }));
    }
    drifts
}

fn change(file: &MigrationFile, applied: &Applied, run: Option<&Run>) -> Change {
    if applied.name != file.name {
        return Change::Renamed { from: applied.name.clone() };
    }
    if file.checksums_by_line_end().contains(&Some(applied.checksum)) {
        return Change::LineEnds;
    }
    match run {
        Some(run) if run.normalised_sha256 == file.normalised_sha256() => Change::Comments,
        Some(_) => Change::Sql,
        None => Change::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::scope::Scope;
    use super::*;

    fn file(version: i64, name: &str, text: &str) -> MigrationFile {
        let path = format!("V{version}__{name}.sql");
        let load = |_: &str| Err("none".to_owned());
        MigrationFile::new(Scope::App, version, name.to_owned(), Path::new(&path), text.to_owned(), &load)
            .unwrap()
    }

    fn applied(files: &[MigrationFile]) -> History {
        let applied = files.iter().map(|file| Applied {
            version: file.version,
            name: file.name.clone(),
            applied_on: time::OffsetDateTime::UNIX_EPOCH,
            checksum: file.checksum(),
        });
        History { applied: applied.collect(), ..History::default() }
    }

    #[test]
    fn every_difference_is_found_and_weighed() {
        let then = [
            file(1, "a", "SELECT 1;\n"),
            file(3, "c", "SELECT 3;"),
            file(4, "d", "SELECT 4;"),
            file(5, "e", "SELECT 5;"),
        ];
        let now = [
            file(1, "a", "SELECT 1;\r\n"),
            file(2, "b", "SELECT 2;"),
            file(3, "x", "SELECT 3;"),
            file(5, "e", "SELECT 6;"),
        ];
        let found: Vec<String> =
            compare(&now, &applied(&then), &BTreeMap::new()).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].starts_with("V1__a.sql: only line ends"), "{found:#?}");
        assert!(found[1].starts_with("V3__x.sql: was applied under the name \"c\""), "{found:#?}");
        assert!(found[2].starts_with("V4__d: was applied, but its file is missing"), "{found:#?}");
        assert!(
            found[3].starts_with("V5__e.sql: differs from what was applied, by another tool"),
            "{found:#?}"
        );
        assert!(found[4].starts_with("V2__b.sql: version 2 was never applied, but 5 was"), "{found:#?}");
    }

    #[test]
    fn equal_files_do_not_drift() {
        let files = [file(1, "a", "SELECT 1;"), file(2, "b", "SELECT 2;")];
        assert_eq!(compare(&files, &applied(&files[..1]), &BTreeMap::new()), vec![]);
    }
}
