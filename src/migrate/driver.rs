//! Our side of refinery's driver traits. refinery asks for the history, verifies it against the files, and hands over
//! the one version to apply; what "apply" means is ours: fence, guard, retries, or no transaction at all.

use refinery::{Migration, Runner, Target};
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};

use super::MigrateError;
use super::apply::{self, Step};
use super::outside;
use super::scope::HistoryTable;
use super::{history, setup::Migrations};
use crate::db::{Executor, Session};

/// Applies one version through refinery, and returns how long it took in milliseconds.
///
/// # Errors
///
/// What [`apply`] and [`outside`] say; [`MigrateError::Refinery`] when refinery's own verification refuses.
pub(super) async fn apply_one(
    session: &mut Session,
    migrations: &Migrations,
    step: Step<'_>,
) -> Result<i64, MigrateError> {
    let files: Vec<Migration> = migrations.files.iter().map(|file| file.migration().clone()).collect();
    let target = Target::Version(step.file.version);
    let mut driver = Driver { session, history: &migrations.history, step, outcome: None };
    let report = Runner::new(&files)
        .set_target(target)
        .set_migration_table_name(migrations.history.to_string())
        .run_async(&mut driver)
        .await;
    match (driver.outcome, report) {
        (Some(outcome), _) => outcome,
        (None, Err(error)) => Err(MigrateError::Refinery(crate::db::error::innermost(&error))),
        (None, Ok(_)) => Err(MigrateError::Refinery("it applied nothing".to_owned())),
    }
}

struct Driver<'a> {
    session: &'a mut Session,
    history: &'a HistoryTable,
    step: Step<'a>,
    /// refinery gives errors back by reference only, so ours waits here.
    outcome: Option<Result<i64, MigrateError>>,
}

/// Tells refinery to stop; the reason is in [`Driver::outcome`].
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

impl AsyncTransaction for Driver<'_> {
    type Error = Stopped;

    /// Called with the table's creation, which is empty here, or with a migration's text and refinery's INSERT.
    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Stopped> {
        let queries: Vec<&str> = queries.collect();
        let [text, _insert] = queries.as_slice() else { return Ok(0) };
        // One call applies one version; a second would be a version that no one verified.
        if *text != self.step.file.text || self.outcome.is_some() {
            self.outcome = Some(Err(MigrateError::Refinery("it chose another version".to_owned())));
            return Err(Stopped);
        }
        let outcome = if self.step.file.directives.no_transaction {
            outside::apply(self.session, self.history, &self.step).await
        } else {
            apply::apply(self.session, self.history, &self.step).await
        };
        let done = outcome.is_ok();
        self.outcome = Some(outcome);
        if done { Ok(queries.len()) } else { Err(Stopped) }
    }
}

impl Driver<'_> {
    async fn applied(&self, query: &str) -> Result<Vec<Migration>, MigrateError> {
        let rows = history::rows(self.session.query(query, &[]).await?)?;
        if let Some(broken) = rows.broken.first() {
            return Err(MigrateError::Refinery(broken.fault.clone()));
        }
        let applied = rows.applied.into_iter().map(|applied| {
            Migration::applied(applied.version, applied.name, applied.applied_on, applied.checksum)
        });
        Ok(applied.collect())
    }
}

impl AsyncQuery<Vec<Migration>> for Driver<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Stopped> {
        match self.applied(query).await {
            Ok(applied) => Ok(applied),
            Err(error) => {
                self.outcome = Some(Err(error));
                Err(Stopped)
            }
        }
    }
}

impl AsyncMigrate for Driver<'_> {
    /// The table is made before the first step, see [`history::create`].
    fn assert_migrations_table_query(_table: &str) -> String {
        String::new()
    }

    fn get_applied_migrations_query(table: &str) -> String {
        history::read_statement(table)
    }
}
