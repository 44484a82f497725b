//! An application's migrations, read from a folder and the folders below it, as refinery reads them.
//!
//! Names that begin with a dot are passed over: Kubernetes mounts keep a second copy of every file there.

use std::path::{Path, PathBuf};

use super::file::{Definition, MigrationFile};
use super::name::{self, Named};
use super::problem::Problem;
use super::scope::Scope;

/// Loads every migration below `folder`, by version.
///
/// # Errors
///
/// Every fault of every file, duplicate versions among them, by path.
pub fn load(folder: &Path) -> Result<Vec<MigrationFile>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut paths = Vec::new();
    walk(folder, &mut paths, &mut problems);
    let mut files = Vec::new();
    let mut versions: Vec<(i64, PathBuf)> = Vec::new();
    for path in paths {
        let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else {
            problems.push(Problem::of_file(&path, "the name is not UTF-8"));
            continue;
        };
        let (version, name) = match name::read(file_name) {
            Named::Migration { version, name } => (version, name),
            Named::Fault(fault) => {
                problems.push(Problem::of_file(&path, fault));
                continue;
            }
            Named::Other => continue,
        };
        versions.push((version, path.clone()));
        match read(&path).map_err(|reason| vec![Problem::of_file(&path, reason)]).and_then(|text| {
            let beside = path.parent().unwrap_or(folder).to_owned();
            MigrationFile::new(Scope::App, version, name, &path, text, &|wanted| definition(&beside, wanted))
        }) {
            Ok(file) => files.push(file),
            Err(faults) => problems.extend(faults),
        }
    }
    problems.extend(duplicates(versions));
    if problems.is_empty() {
        files.sort_by_key(|file| file.version);
        Ok(files)
    } else {
        problems.sort_by(|one, other| {
            (&one.file, one.place.map(|place| place.line))
                .cmp(&(&other.file, other.place.map(|place| place.line)))
        });
        Err(problems)
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(Problem::of_file(folder, format!("cannot read the folder: {error}")));
            return;
        }
    };
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // A link to a folder is not followed, as in refinery; a link to a file is a file.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, paths, problems),
            Ok(kind) if kind.is_symlink() && path.is_dir() => {}
            Ok(_) => paths.push(path),
            Err(error) => problems.push(Problem::of_file(&path, format!("cannot be looked at: {error}"))),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8, from byte {} on", error.utf8_error().valid_up_to()))
}

fn definition(beside: &Path, wanted: &str) -> Result<Definition, String> {
    let path = beside.join(wanted);
    read(&path)
        .map(|text| Definition { text, path: path.clone() })
        .map_err(|reason| format!("{} {reason}", path.display()))
}

/// refinery applies the first of two files with one version on a fresh database and ignores the second for ever on
/// an old one.
fn duplicates(mut versions: Vec<(i64, PathBuf)>) -> Vec<Problem> {
    versions.sort();
    versions
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .map(|pair| {
            Problem::of_file(
                &pair[1].1,
                format!("version {} is taken by {} too", pair[1].0, pair[0].1.display()),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn every_bad_file_is_reported_in_one_run() {
        let folder = folder(&[
            ("V1__ok.sql", "SELECT 1"),
            ("V2__foo-bar.sql", ""),
            ("v3__lower.sql", ""),
            ("V5__ok.SQL", ""),
            ("V6__a.sql", "COMMIT"),
            ("deep/V6__b.sql", ""),
            ("U7__any.sql", ""),
            ("V8__d.sql", "-- highwater: no-transactoin\n-- highwater: add-rollup gone.toml\n"),
            ("README.md", ""),
            (".hidden/V1__copy.sql", "SELECT 1"),
        ]);
        let found: Vec<String> = load(folder.path())
            .unwrap_err()
            .iter()
            .map(|problem| problem.file.strip_prefix(folder.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(
            found,
            [
                "U7__any.sql",
                "V2__foo-bar.sql",
                "V5__ok.SQL",
                "V6__a.sql",
                "V8__d.sql",
                "V8__d.sql",
                "deep/V6__b.sql",
                "v3__lower.sql"
            ]
        );
    }

    #[test]
    fn good_files_come_by_version_with_their_definitions() {
        let folder = folder(&[
            ("V10__b.sql", "-- highwater: add-rollup rollups/u.toml\n"),
            ("rollups/u.toml", "name = 'u'"),
            ("old/V2__a.sql", "SELECT 1"),
            ("README.md", ""),
        ]);
        let files = load(folder.path()).unwrap();
        assert_eq!(files.iter().map(ToString::to_string).collect::<Vec<_>>(), ["V2__a", "V10__b"]);
        assert_eq!(files[1].definitions[0].text, "name = 'u'");
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_fault() {
        let problems = load(Path::new("/nonexistent/migrations")).unwrap_err();
        assert!(
            problems[0].to_string().contains("/nonexistent/migrations: cannot read the folder"),
            "{problems:?}"
        );
    }
}
