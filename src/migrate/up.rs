//! `migrate up`: one run, under its lock, one version at a time.

use std::future::Future;

use tokio::time::Instant;

use super::MigrateError;
use super::apply::Step;
use super::driver::apply_one;
use super::engine::Renewed;
use super::event::{Event, Observer, millis};
use super::file::MigrationFile;
use super::goal::Goal;
use super::history;
use super::hook::{Hook, HookContext, HookError};
use super::lock::{RUN_KEY, RunLock, WORK_KEY, Wait, poll};
use super::probe::{self, Pooler};
use super::scope::Scope;
use super::setup::{Migrations, Setup};
use super::standing::Standing;
use crate::db::connect::restore;
use crate::db::{DbError, Session, schema};
use crate::ground::shutdown::{Shutdown, Urgency};

/// How far and how patiently.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Last version to apply: the application's where there is one, else highwater's own. `None` is the newest.
    pub to: Option<i64>,
    pub wait: Wait,
    pub pooler: Pooler,
}

/// Applies all that is pending and returns how many versions that were.
///
/// # Errors
///
/// Any [`MigrateError`]; versions before the failing one stay applied.
pub async fn up(
    setup: &Setup<'_>,
    options: Options,
    shutdown: &Shutdown,
    observer: &dyn Observer,
) -> Result<usize, MigrateError> {
    let all = setup.load()?;
    let goal = Goal::choose(&all, options.to)?;
    let started = Instant::now();
    let connections = probe::open(setup.target, options.pooler).await?;
    poll(&connections.lock, RUN_KEY, started, options.wait, shutdown, observer).await?;
    let lock = RunLock::watch(connections.lock, connections.lock_pid);
    let mut work = connections.work;
    probe::exclusive(&work).await?;
    poll(&work, WORK_KEY, started, options.wait, shutdown, observer).await?;
    observer.observe(&Event::Locked { waited_ms: millis(started.elapsed()) });

    schema::begin_upgrade();
    let run = Run { setup, shutdown, observer, lock: &lock };
    let applied = run.all(&mut work, &all, goal).await;
    let applied = match applied {
        // A lost lock shows first as whatever the loss broke.
        Err(error) if lock.is_lost() && !matches!(error, MigrateError::Interrupted) => {
            Err(MigrateError::LockLost)
        }
        applied => applied,
    };
    drop(work);
    lock.release().await;
    let applied = applied?;
    observer.observe(&Event::Finished { applied, duration_ms: millis(started.elapsed()) });
    Ok(applied)
}

struct Run<'a> {
    setup: &'a Setup<'a>,
    shutdown: &'a Shutdown,
    observer: &'a dyn Observer,
    lock: &'a RunLock,
}

impl Run<'_> {
    async fn all(&self, work: &mut Session, all: &[Migrations], goal: Goal) -> Result<usize, MigrateError> {
        // Before anything is written every difference of either history is known.
        for migrations in all {
            self.verified(work, migrations).await?;
        }
        let mut applied = 0;
        for migrations in all {
            let last = goal.last(migrations.scope);
            history::create(work, &migrations.history).await?;
            loop {
                let standing = self.verified(work, migrations).await?;
                let pending = standing.pending(migrations);
                let Some(file) = pending.first().filter(|file| file.version <= last) else { break };
                if self.shutdown.is_requested() {
                    return Err(MigrateError::Interrupted);
                }
                fits(&standing, migrations, file)?;
                self.one(work, migrations, file).await?;
                applied += 1;
            }
            // Before the application's migrations, whose hooks call what is rendered.
            if migrations.scope == Scope::Own {
                self.renew(work).await?;
            }
        }
        Ok(applied)
    }

    /// Brings what is rendered for installed rollups to this build's version.
    async fn renew(&self, work: &mut Session) -> Result<(), MigrateError> {
        let Some(engine) = &self.setup.engine else { return Ok(()) };
        let renewed = engine.renew(work, self.lock).await.map_err(|(rollup, fault)| {
            match fault.downcast::<DbError>() {
                Ok(error) if matches!(*error, DbError::Lost(_)) => MigrateError::Db(*error),
                Ok(error) => MigrateError::Renewal { rollup, fault: error.to_string() },
                Err(fault) => MigrateError::Renewal { rollup, fault: fault.to_string() },
            }
        })?;
        for Renewed { rollup, left } in renewed {
            self.observer.observe(&match left {
                None => Event::RollupRenewed { rollup },
                Some(reason) => Event::RollupLeft { rollup, reason },
            });
        }
        restore(work).await?;
        Ok(probe::settle(work).await?)
    }

    async fn verified(&self, work: &Session, migrations: &Migrations) -> Result<Standing, MigrateError> {
        let standing = Standing::read(work, migrations).await?;
        let drift = standing.drift(migrations)?;
        if drift.is_empty() { Ok(standing) } else { Err(MigrateError::Drift(drift)) }
    }

    /// Hooks, then the version, then a session as new.
    async fn one(
        &self,
        work: &mut Session,
        migrations: &Migrations,
        file: &MigrationFile,
    ) -> Result<(), MigrateError> {
        let hooks = self.setup.hooks_of(file);
        for hook in &hooks {
            self.before(file, &**hook).await?;
        }
        if !hooks.is_empty() {
            if !self.lock.is_held().await {
                return Err(MigrateError::LockLost);
            }
            // Hooks take long enough for a pooler to have been put in between, or to have reshuffled.
            probe::exclusive(work).await?;
        }
        let canceller = work.canceller();
        let step = Step {
            file,
            lock: self.lock,
            engine: self.setup.engine.as_ref(),
            hooks: &hooks,
            observer: self.observer,
            shutdown: self.shutdown,
        };
        let applying = apply_one(work, migrations, step);
        let duration_ms = self.unless_stopped(applying, async || canceller.cancel().await).await?;
        self.observer.observe(&Event::Applied {
            scope: file.scope,
            version: file.version,
            name: file.name.clone(),
            duration_ms: u64::try_from(duration_ms).unwrap_or_default(),
        });
        restore(work).await?;
        probe::settle(work).await?;
        for hook in &hooks {
            let context = self.context(file, &**hook);
            hook.check(&context).await.map_err(|error| hook_failed(file, &**hook, error))?;
        }
        Ok(())
    }

    /// Lets the version finish, unless the lock is lost or a second signal asks for the end now: then its statement is
    /// cancelled. What was committed before the cancel arrived counts as done.
    async fn unless_stopped<T>(
        &self,
        applying: impl Future<Output = Result<T, MigrateError>>,
        cancel: impl AsyncFnOnce() -> Result<(), DbError>,
    ) -> Result<T, MigrateError> {
        tokio::pin!(applying);
        let reason = tokio::select! {
            result = &mut applying => return result,
            () = self.lock.lost() => MigrateError::LockLost,
            () = self.shutdown.at_least(Urgency::Now) => MigrateError::Interrupted,
        };
        // A cancel that cannot be sent leaves the fence, which refuses the commit.
        let _ = cancel().await;
        applying.await.map_err(|_| reason)
    }

    fn context<'c>(&'c self, file: &'c MigrationFile, hook: &dyn Hook) -> HookContext<'c> {
        HookContext {
            target: self.setup.target,
            shutdown: self.shutdown,
            file,
            hook: hook.name(),
            lock: self.lock,
            observer: self.observer,
        }
    }

    /// Estimate, run, verify.
    async fn before(&self, file: &MigrationFile, hook: &dyn Hook) -> Result<(), MigrateError> {
        let (scope, version) = (file.scope, file.version);
        let estimate = hook.estimate(self.setup.target).await.unwrap_or_default();
        self.observer.observe(&Event::HookStarted {
            scope,
            version,
            hook: hook.name(),
            rows_left: estimate.rows_left,
            eta_ms: estimate.eta.map(millis),
        });
        let started = Instant::now();
        let context = self.context(file, hook);
        hook.run(&context).await.map_err(|error| hook_failed(file, hook, error))?;
        hook.verify(&context).await.map_err(|error| hook_failed(file, hook, error))?;
        self.observer.observe(&Event::HookFinished {
            scope,
            version,
            hook: hook.name(),
            duration_ms: millis(started.elapsed()),
        });
        Ok(())
    }
}

fn hook_failed(file: &MigrationFile, hook: &dyn Hook, error: HookError) -> MigrateError {
    let path = file.path.clone();
    match error {
        HookError::Interrupted => MigrateError::Interrupted,
        HookError::LockLost => MigrateError::LockLost,
        HookError::Paused => MigrateError::Paused { path, hook: hook.name() },
        error @ (HookError::Db(_) | HookError::Failed(_)) => {
            MigrateError::HookFailed { path, hook: hook.name(), reason: error.to_string() }
        }
    }
}

/// A version that the history's column cannot hold would run, and then fail at its history row.
fn fits(standing: &Standing, migrations: &Migrations, file: &MigrationFile) -> Result<(), MigrateError> {
    match standing.history.widest {
        Some(widest) if file.version > widest => {
            Err(MigrateError::BadFiles(vec![super::problem::Problem::of_file(
                &file.path,
                format!(
                    "version {} does not fit the history's column; first run: ALTER TABLE {} ALTER COLUMN version TYPE bigint",
                    file.version, migrations.history
                ),
            )]))
        }
        _ => Ok(()),
    }
}
