//! `require-rollup` and `add-rollup` by the rollup engine: backfill and drain before the migration, a proof of every
//! row, one more drain so that the guard finds the rollup current.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::directive::Requirement;
use super::engine::{Renewed, RollupEngine, RollupFault};
use super::event::{Progress, millis};
use super::hook::{Estimate, Hook, HookContext, HookError};
use super::lock::RunLock;
use crate::db::target::Target;
use crate::db::{Session, Tx, connect};
use crate::ground::digits::grouped;
use crate::rollup::backfill::{self, End};
use crate::rollup::definition::Definition;
use crate::rollup::ledger::Range;
use crate::rollup::renew::{self, Renewal};
use crate::rollup::watch::{Fence, Listener, News, Work};
use crate::rollup::{RollupError, RollupName, drain, estimate, install, verify};

/// What the connections of a hook call themselves.
const SUBCOMMAND: &str = "migrate";

/// The engine of `highwater migrate`; `options` say how backfills run.
#[derive(Debug, Clone, Default)]
pub struct Rollups {
    pub options: backfill::Options,
}

#[async_trait]
impl RollupEngine for Rollups {
    fn check(&self, definition_text: &str, path: &Path) -> Result<(), RollupFault> {
        Definition::parse(definition_text, &path.display().to_string())?;
        Ok(())
    }

    fn require(&self, requirements: &[Requirement]) -> Arc<dyn Hook> {
        Arc::new(Required { requirements: requirements.to_vec(), options: self.options.clone() })
    }

    async fn install(&self, tx: &Tx<'_>, definition_text: &str, path: &Path) -> Result<(), RollupFault> {
        let definition = Definition::parse(definition_text, &path.display().to_string())?;
        match install::install(tx, &definition).await {
            Ok(_) => Ok(()),
            // Given as it is, so that the run can see what may be retried.
            Err(RollupError::Db(error)) => Err(Box::new(error)),
            Err(error) => Err(Box::new(error)),
        }
    }

    async fn renew(
        &self,
        session: &mut Session,
        lock: &RunLock,
    ) -> Result<Vec<Renewed>, (String, RollupFault)> {
        let renewals = renew::all(session, &Held(lock)).await.map_err(|(name, error)| {
            let fault: RollupFault = match error {
                RollupError::Db(error) => Box::new(error),
                error => Box::new(error),
            };
            (name.to_string(), fault)
        })?;
        let renewed = renewals.into_iter().filter_map(|(name, renewal)| {
            let left = match renewal {
                Renewal::Current => return None,
                Renewal::Renewed => None,
                Renewal::Newer { build } => Some(format!("a newer highwater, {build}, has rendered them")),
                Renewal::Misfit { reason } => Some(reason),
            };
            Some(Renewed { rollup: name.to_string(), left })
        });
        Ok(renewed.collect())
    }
}

/// The run's lock as the fence of a renewal.
struct Held<'a>(&'a RunLock);

impl Fence for Held<'_> {
    fn check(&self) -> BoxFuture<'_, Result<(), RollupError>> {
        Box::pin(async { if self.0.is_held().await { Ok(()) } else { Err(RollupError::LockLost) } })
    }
}

struct Required {
    requirements: Vec<Requirement>,
    options: backfill::Options,
}

impl Required {
    fn names(&self) -> impl Iterator<Item = &RollupName> {
        self.requirements.iter().map(|requirement| &requirement.rollup)
    }
}

#[async_trait]
impl Hook for Required {
    fn name(&self) -> String {
        let names: Vec<&str> = self.names().map(RollupName::as_str).collect();
        format!("backfill {}", names.join(", "))
    }

    async fn estimate(&self, target: &Target) -> Result<Estimate, HookError> {
        let mut session = connect::connect(target, SUBCOMMAND).await?;
        let mut sum = Estimate::default();
        for name in self.names() {
            let one = match estimate::read(&mut session, name, Range::default(), false).await {
                Ok(one) => one,
                // An earlier migration of the same run will install it; nothing can be said of it yet.
                Err(RollupError::Unknown { .. } | RollupError::NotInstalled) => {
                    return Ok(Estimate::default());
                }
                Err(error) => return Err(fault(error)),
            };
            sum.rows_left = add(sum.rows_left, one.source_rows);
            let eta = one.seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
            sum.eta = eta.map(|eta| sum.eta.unwrap_or_default() + eta).or(sum.eta);
            sum.slices_left = add(sum.slices_left, one.slices_pending);
            sum.slices_total =
                add(sum.slices_total, one.slices_pending.map(|left| left + one.slices_complete));
        }
        Ok(sum)
    }

    async fn run(&self, context: &HookContext<'_>) -> Result<(), HookError> {
        let fence = StillOurs(context);
        for name in self.names() {
            let relay = Relay::new(context);
            let report = backfill::run(
                context.target,
                SUBCOMMAND,
                name,
                &self.options,
                &relay,
                &fence,
                context.shutdown,
            )
            .await
            .map_err(fault)?;
            match report.end {
                End::Complete => {}
                End::Paused => return Err(HookError::Paused),
                End::Interrupted => return Err(HookError::Interrupted),
            }
            drain_all(context, name).await?;
        }
        Ok(())
    }

    async fn verify(&self, context: &HookContext<'_>) -> Result<(), HookError> {
        for name in self.names() {
            // The proof counts the months anew: one that a partition brought in without a mark is filled, then proven.
            if self.prove(context, name).await? > 0 {
                self.run(context).await?;
                self.prove(context, name).await?;
            }
        }
        Ok(())
    }
}

impl Required {
    /// Compares every row of one rollup; returns how many months were pending and hence not compared.
    async fn prove(&self, context: &HookContext<'_>, name: &RollupName) -> Result<usize, HookError> {
        let fence = StillOurs(context);
        let relay = Relay::new(context);
        let options = verify::Options {
            range: Range::default(),
            sample: None,
            parallel: self.options.parallel,
            repair: false,
        };
        let report =
            verify::run(context.target, SUBCOMMAND, name, &options, &relay, &fence, context.shutdown)
                .await
                .map_err(fault)?;
        if report.interrupted {
            return Err(HookError::Interrupted);
        }
        if report.drifted > 0 {
            let example = report.examples.first().map(ToString::to_string).unwrap_or_default();
            let fault = format!(
                "{} rows of rollup \"{name}\" differ from their source, the first is {example}; \
                 \"highwater rollup verify {name} --repair\" makes them right",
                report.drifted
            );
            return Err(HookError::Failed(fault.into()));
        }
        // The proof took a while: without this the guard would find the rollup as old as that.
        let watermark = drain_all(context, name).await?;
        let watermark =
            watermark.map_or_else(String::new, |at| format!(", watermark {}", at.format("%F %T UTC")));
        context.note(format!(
            "{name}: {} rows of {} months equal their source{watermark}",
            grouped(report.rows),
            report.slices
        ));
        Ok(report.pending)
    }
}

/// Makes the rollup current and returns its watermark.
async fn drain_all(context: &HookContext<'_>, name: &RollupName) -> Result<Option<DateTime<Utc>>, HookError> {
    context.still_ours().await?;
    let mut session = connect::connect(context.target, SUBCOMMAND).await?;
    let report = drain::run(&mut session, name, context.shutdown).await.map_err(fault)?;
    if report.is_whole { Ok(report.watermark_at) } else { Err(HookError::Interrupted) }
}

/// A sum of what is known.
fn add(sum: Option<u64>, more: Option<i64>) -> Option<u64> {
    more.and_then(|more| u64::try_from(more).ok()).map(|more| sum.unwrap_or_default() + more).or(sum)
}

fn fault(error: RollupError) -> HookError {
    match error {
        RollupError::LockLost => HookError::LockLost,
        RollupError::Stopped { .. } => HookError::Interrupted,
        RollupError::Db(error) => HookError::Db(error),
        other => HookError::Failed(Box::new(other)),
    }
}

/// The run's lock as the fence of a backfill.
struct StillOurs<'a>(&'a HookContext<'a>);

impl Fence for StillOurs<'_> {
    fn check(&self) -> BoxFuture<'_, Result<(), RollupError>> {
        Box::pin(async {
            match self.0.still_ours().await {
                Err(HookError::LockLost) => Err(RollupError::LockLost),
                // A request to end is the backfill's own business: it finishes what it has in hand.
                Ok(()) | Err(_) => Ok(()),
            }
        })
    }
}

/// Turns the news of a backfill into the progress of a hook.
struct Relay<'a> {
    context: &'a HookContext<'a>,
    tally: Mutex<Tally>,
}

struct Tally {
    began: Instant,
    slices: usize,
    slices_done: usize,
    rows: i64,
    rows_done: i64,
}

impl<'a> Relay<'a> {
    fn new(context: &'a HookContext<'a>) -> Relay<'a> {
        let tally = Tally { began: Instant::now(), slices: 0, slices_done: 0, rows: 0, rows_done: 0 };
        Relay { context, tally: Mutex::new(tally) }
    }
}

impl Listener for Relay<'_> {
    fn hear(&self, news: News) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            News::Began { rollup, work, slices, source_rows } => {
                *tally =
                    Tally { began: Instant::now(), slices, slices_done: 0, rows: source_rows, rows_done: 0 };
                self.context.progress(tally.progress(format!("{} {rollup}", verb(work))));
            }
            News::Slice { rollup, work, month, source_rows, .. } => {
                tally.slices_done += 1;
                tally.rows_done += source_rows;
                self.context.progress(tally.progress(format!("{} {rollup} {month}", verb(work))));
            }
            News::Part { rollup, month, to, .. } => {
                let to = to.format("%Y-%m-%d %H:%M UTC");
                self.context.progress(tally.progress(format!("fill {rollup} {month} up to {to}")));
            }
            News::Waiting { rollup, work, holder } => {
                self.context.progress(tally.progress(format!("{rollup} waits for another {work}: {holder}")));
            }
            News::Retry { rollup, month, reason } => {
                self.context.note(format!("{rollup} {month} is tried again: {reason}"));
            }
            News::Throttled { rollup, reason, .. } => {
                self.context.note(format!("{rollup} holds back: {reason}"));
            }
            News::Held { rollup, month } => {
                self.context
                    .note(format!("{rollup} {month} is being written by someone else; it comes last"));
            }
            News::Note { rollup, note } => self.context.note(format!("{rollup}: {note}")),
            News::Counting { .. } | News::Stopping { .. } | News::Ended { .. } => {}
        }
    }
}

fn verb(work: Work) -> &'static str {
    match work {
        Work::Backfill => "fill",
        Work::Verify => "verify",
    }
}

impl Tally {
    fn progress(&self, note: String) -> Progress {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let per_second = self.rows_done as f64 / seconds;
        let left = (self.rows - self.rows_done).max(0) as f64;
        let eta = (per_second > 0.0).then(|| millis(Duration::from_secs_f64(left / per_second)));
        Progress {
            slices_done: self.slices_done as u64,
            slices_total: Some(self.slices.max(self.slices_done) as u64),
            rows_done: u64::try_from(self.rows_done).ok(),
            rows_total: u64::try_from(self.rows.max(self.rows_done)).ok(),
            rows_per_second: (self.slices_done > 0).then_some(per_second),
            eta_ms: eta,
            note: Some(note),
        }
    }
}
