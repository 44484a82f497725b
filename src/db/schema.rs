//! The version of highwater's own schema, and which versions this build works with.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{DbError, Executor};

/// The newest of highwater's own migrations.
pub const VERSION: i64 = 21;

/// How far schema and build may be apart: one version either way, so that a rolling upgrade works, in which old and
/// new processes run side by side before and after the migration.
const DISTANCE: i64 = 1;

/// Whether this process is upgrading the schema: an older one is no obstacle then, it is where the upgrade stands.
static IS_UPGRADING: AtomicBool = AtomicBool::new(false);

/// Lets this process work with older schemas from now on, for the hooks of the upgrade that it does. A hook of one of our own
/// migrations therefore uses only what the migrations before it have made.
pub fn begin_upgrade() {
    IS_UPGRADING.store(true, Ordering::Relaxed);
}

/// How a database's schema stands to this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// This build works with it.
    Fits,
    /// Highwater's migrations never ran here.
    Missing,
    /// The schema must be upgraded first.
    TooOld { found: i64 },
    /// This build must be upgraded first.
    TooNew { found: i64 },
}

/// Looks at the schema's version.
///
/// # Errors
///
/// What the server says, such as a missing right to read the history.
pub async fn fit(db: &impl Executor) -> Result<Fit, DbError> {
    if !db
        .query_one(include_str!("../../sql/schema/is_installed.sql"), &[])
        .await?
        .get::<_, bool>("installed")
    {
        return Ok(Fit::Missing);
    }
    let found = db.query_one(include_str!("../../sql/schema/version.sql"), &[]).await?;
    Ok(match found.get::<_, Option<i64>>("version") {
        None => Fit::Missing,
        Some(found) if found < VERSION - DISTANCE && !IS_UPGRADING.load(Ordering::Relaxed) => {
            Fit::TooOld { found }
        }
        Some(found) if found > VERSION + DISTANCE => Fit::TooNew { found },
        Some(_) => Fit::Fits,
    })
}
