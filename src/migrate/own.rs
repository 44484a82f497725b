//! Highwater's own migrations, embedded from `migrations/`.
//!
//! They are listed by hand and a test holds the list to the folder: a macro that reads the folder does not notice a
//! new file until something else is compiled again.

use std::path::Path;

use super::file::{Definition, MigrationFile};
use super::name::{self, Named};
use super::problem::Problem;
use super::scope::Scope;

/// File names and texts, by version.
const FILES: &[(&str, &str)] = &[
    ("V1__migration_run.sql", include_str!("../../migrations/V1__migration_run.sql")),
    ("V2__rollup_ledger.sql", include_str!("../../migrations/V2__rollup_ledger.sql")),
    ("V3__usage_event.sql", include_str!("../../migrations/V3__usage_event.sql")),
    ("V4__usage_hourly.sql", include_str!("../../migrations/V4__usage_hourly.sql")),
    ("V5__scheduler.sql", include_str!("../../migrations/V5__scheduler.sql")),
    ("V6__rollup_watch.sql", include_str!("../../migrations/V6__rollup_watch.sql")),
    ("V7__rollup_relation.sql", include_str!("../../migrations/V7__rollup_relation.sql")),
    ("V8__engine_version.sql", include_str!("../../migrations/V8__engine_version.sql")),
    ("V9__ageing.sql", include_str!("../../migrations/V9__ageing.sql")),
    ("V10__job_in_code.sql", include_str!("../../migrations/V10__job_in_code.sql")),
    ("V11__backup.sql", include_str!("../../migrations/V11__backup.sql")),
    ("V12__backup_rollups.sql", include_str!("../../migrations/V12__backup_rollups.sql")),
    ("V13__backup_sweeps.sql", include_str!("../../migrations/V13__backup_sweeps.sql")),
    ("V14__backup_due.sql", include_str!("../../migrations/V14__backup_due.sql")),
    ("V15__overdue.sql", include_str!("../../migrations/V15__overdue.sql")),
    ("V16__pause_and_alter.sql", include_str!("../../migrations/V16__pause_and_alter.sql")),
    ("V17__cron.sql", include_str!("../../migrations/V17__cron.sql")),
    ("V19__drift.sql", include_str!("../../migrations/V19__drift.sql")),
    ("V20__filled_to.sql", include_str!("../../migrations/V20__filled_to.sql")),
    ("V21__notify.sql", include_str!("../../migrations/V21__notify.sql")),
];

/// Definitions that own migrations install, by the path that their `add-rollup` gives.
const DEFINITIONS: &[(&str, &str)] = &[
    ("../sql/rollups/usage_hourly.toml", include_str!("../../sql/rollups/usage_hourly.toml")),
    ("../sql/rollups/backup_job_hourly.toml", include_str!("../../sql/rollups/backup_job_hourly.toml")),
    ("../sql/rollups/slot_hourly.toml", include_str!("../../sql/rollups/slot_hourly.toml")),
];

/// The embedded migrations, by version.
///
/// # Errors
///
/// Never in a released build: a test loads them.
pub fn load() -> Result<Vec<MigrationFile>, Vec<Problem>> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for (file_name, text) in FILES {
        let path = Path::new(file_name);
        let Named::Migration { version, name } = name::read(file_name) else {
            problems.push(Problem::of_file(path, "an embedded migration has a bad name"));
            continue;
        };
        match MigrationFile::new(Scope::Own, version, name, path, (*text).to_owned(), &definition) {
            Ok(file) => files.push(file),
            Err(faults) => problems.extend(faults),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn definition(wanted: &str) -> Result<Definition, String> {
    let found = DEFINITIONS.iter().find(|(path, _)| *path == wanted);
    let (path, text) = found.ok_or("no such definition is embedded")?;
    Ok(Definition { path: path.into(), text: (*text).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded_in_order() {
        let mut versions: Vec<i64> = Vec::new();
        for file in load().unwrap() {
            versions.push(file.version);
        }
        assert!(versions.is_sorted_by(|before, after| before < after), "{versions:?}");
        assert_eq!(versions.last(), Some(&crate::db::schema::VERSION));
        let mut on_disk: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut embedded: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        on_disk.sort();
        embedded.sort_unstable();
        assert_eq!(embedded, on_disk);
    }
}
