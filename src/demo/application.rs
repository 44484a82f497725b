//! The example application's migrations, as they lie in `examples/upgrade`.

use std::path::{Path, PathBuf};

use super::DemoError;

/// Path below the example's folder, and text.
const FILES: [(&str, &str); 4] = [
    (
        "migrations/V1__activity_and_daily.sql",
        include_str!("../../examples/upgrade/migrations/V1__activity_and_daily.sql"),
    ),
    (
        "migrations/V2__hourly_rollup.sql",
        include_str!("../../examples/upgrade/migrations/V2__hourly_rollup.sql"),
    ),
    ("migrations/V3__drop_daily.sql", include_str!("../../examples/upgrade/migrations/V3__drop_daily.sql")),
    ("rollups/activity_hourly.toml", include_str!("../../examples/upgrade/rollups/activity_hourly.toml")),
];

/// The migration that people want to read.
pub const CONTRACT: &str = include_str!("../../examples/upgrade/migrations/V3__drop_daily.sql");

/// The rollup that the example adds.
pub const ROLLUP: &str = "activity_hourly";

/// Writes the example's files below `directory` and returns the folder of its migrations.
///
/// # Errors
///
/// [`DemoError::Files`].
pub fn write(directory: &Path) -> Result<PathBuf, DemoError> {
    let written = FILES.iter().try_for_each(|(path, text)| {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)
    });
    written.map_err(|source| DemoError::Files { directory: directory.display().to_string(), source })?;
    Ok(directory.join("migrations"))
}
