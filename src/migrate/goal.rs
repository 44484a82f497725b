//! How far a run goes: `--to V` means the application's versions where there is an application, else highwater's own.

use super::MigrateError;
use super::scope::Scope;
use super::setup::Migrations;

/// The last version to apply.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    scope: Scope,
    version: i64,
}

impl Goal {
    /// Reads `--to`; without it everything is the goal.
    ///
    /// # Errors
    ///
    /// [`MigrateError::UnknownVersion`]; refinery would take a mistyped version for "nothing to do".
    pub fn choose(all: &[Migrations], to: Option<i64>) -> Result<Goal, MigrateError> {
        let Some(limited) = all.iter().max_by_key(|migrations| migrations.scope) else {
            return Ok(Goal { scope: Scope::Own, version: i64::MAX });
        };
        match to {
            Some(version) if !limited.files.iter().any(|file| file.version == version) => {
                Err(MigrateError::UnknownVersion {
                    version,
                    newest: limited.files.last().map(|file| file.version),
                })
            }
            to => Ok(Goal { scope: limited.scope, version: to.unwrap_or(i64::MAX) }),
        }
    }

    /// Last version of a scope, itself included.
    pub fn last(self, scope: Scope) -> i64 {
        if scope == self.scope { self.version } else { i64::MAX }
    }
}
