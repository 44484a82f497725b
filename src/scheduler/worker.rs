//! The worker: goes round once a second, or when a run has ended, and takes what is due. It outlives the database's
//! absences: then it says so once, tries again with growing pauses, and goes on.

mod arrival;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, info, warn};

use super::call;
use super::claim::{self, Claimed, Identity};
use super::code::program::Program;
use super::handler::Context;
use super::lease::{Hold, Holdings};
use super::outcome::Outcome;
use super::pace::{self, Pace};
use super::sessions::Sessions;
use super::settings::Limits;
use super::state::State;
use super::vitals::Vitals;
use super::{SchedulerError, finish, heartbeat, materialise, run, sweep};
use crate::db::target::Target;
use crate::db::{Session, connect};
use crate::ground::shutdown::{self, Shutdown, Urgency};
use crate::rollup::install;

/// Longest pause between two rounds.
const POLL: Duration = Duration::from_secs(1);

/// Runs that end wake the next round; the ledger is swept and planned no more often than this.
const PLANNING: Duration = Duration::from_millis(200);

/// A round that takes longer has a connection that nobody answers on.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the ends of the last runs may take to be recorded.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Looked at in each round.
    pub limits: watch::Receiver<Limits>,
    /// Name of this machine, for people.
    pub host: String,
    /// Where to listen for calls, if the target is behind a transaction pooler.
    pub listens_at: Option<Arc<Target>>,
    /// Jobs in code that this worker can run; registered when it arrives.
    pub program: Arc<Program>,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every run in hand ended, or gave its attempt back when asked.
    Drained,
    /// A second signal, or the drain's time-out, cut runs off; they too gave their attempts back.
    Cut,
}

/// Works until a signal comes.
///
/// # Errors
///
/// At the start, when the schema is not one that this build works with or the program's rollups and jobs cannot be
/// registered; everything later is waited out.
pub async fn run(
    target: Arc<Target>,
    options: Options,
    vitals: Arc<Vitals>,
    shutdown: &Shutdown,
) -> Result<End, SchedulerError> {
    let Some((session, identity)) = arrival::arrive(&target, &options, &vitals, shutdown).await? else {
        return Ok(End::Drained);
    };
    info!(worker = %identity.name, "worker {} is at work on {target}", identity.name);
    let holdings = Holdings::default();
    let beats = tokio::spawn(heartbeat::keep(
        Arc::clone(&target),
        identity.incarnation.clone(),
        holdings.clone(),
        Arc::clone(&vitals),
    ));
    let (ends, received) = mpsc::unbounded_channel();
    let wake = Arc::new(Notify::new());
    let ear = tokio::spawn(call::keep(
        options.listens_at.clone().unwrap_or_else(|| Arc::clone(&target)),
        identity.incarnation.clone(),
        call::DEAF,
        Arc::clone(&wake),
        Arc::clone(&vitals),
    ));
    let finisher = tokio::spawn(finish::keep(Arc::clone(&target), received, Arc::clone(&wake)));
    let (abandon, abandoned) = shutdown::channel();
    let mut worker = Worker {
        sessions: Sessions::new(Arc::clone(&target)),
        target,
        options,
        identity,
        vitals,
        holdings,
        shutdown: shutdown.clone(),
        abandoned,
        ends,
        wake,
        runs: JoinSet::new(),
        control: Some(session),
        planned_at: None,
        tried_at: None,
    };
    worker.work().await;
    worker.vitals.draining();
    let end = worker.drain(&abandon).await;
    // The finisher ends when the last sender is gone.
    let name = worker.identity.name.clone();
    drop(worker);
    if timeout(FAREWELL, finisher).await.is_err() {
        warn!("the ends of some runs could not be recorded; their leases will run out");
    }
    beats.abort();
    ear.abort();
    info!(worker = %name, "worker {name} has ended");
    Ok(end)
}

struct Worker {
    target: Arc<Target>,
    options: Options,
    identity: Identity,
    vitals: Arc<Vitals>,
    holdings: Holdings,
    sessions: Sessions,
    shutdown: Shutdown,
    /// Asks runs to end now.
    abandoned: Shutdown,
    ends: mpsc::UnboundedSender<(Hold, Outcome)>,
    wake: Arc<Notify>,
    runs: JoinSet<()>,
    control: Option<Session>,
    planned_at: Option<Instant>,
    /// When the listening connection was last called.
    tried_at: Option<Instant>,
}

impl Worker {
    /// Goes round until a signal comes.
    async fn work(&mut self) {
        let mut pace = Pace::default();
        while !self.shutdown.is_requested() {
            self.vitals.turned();
            let rest = match timeout(PATIENCE, self.round()).await {
                Ok(Ok(is_full)) => {
                    self.vitals.reached();
                    if pace.reset() {
                        info!("the database answers again");
                    }
                    if is_full { Duration::ZERO } else { POLL.mul_f64(0.9 + 0.1 * pace::fraction()) }
                }
                Ok(Err(error)) => {
                    let is_news = self.control.take().is_some();
                    if arrival::is_absence(&error) {
                        if is_news {
                            warn!(error = %error, "the database does not answer; trying again: {error}");
                        }
                    } else {
                        error!(error = %error, "a round failed: {error}");
                    }
                    pace.pause()
                }
                Err(_) => {
                    self.control = None;
                    warn!("the database has not answered for {PATIENCE:?}; connecting anew");
                    pace.pause()
                }
            };
            let is_reached = self.control.is_some();
            let wake = Arc::clone(&self.wake);
            tokio::select! {
                () = sleep(rest) => {}
                () = wake.notified(), if is_reached => {}
                () = self.shutdown.at_least(Urgency::Soon) => {}
            }
        }
    }

    /// One round: sweep, plan, claim, begin. Returns whether another claim may bring more at once.
    async fn round(&mut self) -> Result<bool, SchedulerError> {
        while let Some(ended) = self.runs.try_join_next() {
            if let Err(error) = ended {
                error!(error = %error, "a run's keeper ended badly");
            }
        }
        let running = self.runs.len();
        self.vitals.set_running(running);
        let (lent, idle) = self.sessions.count();
        self.vitals.set_sessions(lent, idle);
        if self.control.as_ref().is_none_or(Session::is_closed) {
            let session = connect::connect(&self.target, "worker").await?;
            install::require_schema(&session).await?;
            self.control = Some(session);
        }
        let Some(session) = &self.control else { return Ok(false) };
        if self.planned_at.is_none_or(|at| at.elapsed() >= PLANNING) {
            let swept = sweep::sweep(session).await?;
            self.vitals.count_swept(swept.len());
            for one in swept {
                tell(&one);
            }
            let made = materialise::materialise(session).await?;
            self.vitals.count_made(made.due, made.skipped);
            self.planned_at = Some(Instant::now());
        }
        if self.tried_at.is_none_or(|at| at.elapsed() >= call::TRIAL) {
            call::call(session, &call::own_channel(&self.identity.incarnation)).await?;
            self.tried_at = Some(Instant::now());
        }
        let limits = *self.options.limits.borrow();
        let free = limits.concurrency.saturating_sub(running);
        let room = free.min(claim::MOST);
        if room == 0 {
            return Ok(false);
        }
        // Leases are counted from the sending of the claim, not from its answer.
        let sent = Instant::now();
        let claimed = claim::claim(session, &self.identity, &self.runners(limits), room).await?;
        self.vitals.count_claim(claimed.len(), sent.elapsed());
        let is_full = claimed.len() == room && free > room;
        for one in claimed {
            self.begin(one, sent);
        }
        Ok(is_full)
    }

    /// What it can run now.
    fn runners(&self, limits: Limits) -> Vec<String> {
        let common = ["builtin", "sql"].into_iter().chain(limits.allows_commands.then_some("command"));
        common.map(str::to_owned).chain(self.options.program.runners()).collect()
    }

    fn begin(&mut self, claimed: Claimed, sent: Instant) {
        debug!(run = %claimed.run, job = %claimed.job, scope = %claimed.scope, "begins {}", claimed.job);
        let hold = self.holdings.begin(claimed.run, claimed.token, sent);
        let context = Context {
            claimed,
            hold,
            sessions: self.sessions.clone(),
            shutdown: self.shutdown.clone(),
            program: Arc::clone(&self.options.program),
            vitals: Arc::clone(&self.vitals),
        };
        let (abandoned, ends, vitals) = (self.abandoned.clone(), self.ends.clone(), Arc::clone(&self.vitals));
        let wake = Arc::clone(&self.wake);
        self.runs.spawn(async move {
            run::execute(context, abandoned, ends, vitals).await;
            wake.notify_one();
        });
    }

    /// Waits for the runs in hand, which know of the signal; cuts them off when their time is over, or at a second one.
    async fn drain(&mut self, abandon: &shutdown::Trigger) -> End {
        let count = self.runs.len();
        info!(runs = count, "asked to end; {count} runs are in hand");
        let mut end = End::Drained;
        {
            let shutdown = self.shutdown.clone();
            let time_out = sleep(self.options.limits.borrow().drain_timeout);
            let all = async { while self.runs.join_next().await.is_some() {} };
            tokio::select! {
                () = all => {}
                () = time_out => end = End::Cut,
                () = shutdown.at_least(Urgency::Now) => end = End::Cut,
            }
        }
        if end == End::Cut {
            let count = self.runs.len();
            warn!(runs = count, "giving {count} runs back");
            abandon.raise();
            while self.runs.join_next().await.is_some() {}
        }
        end
    }
}

fn tell(one: &sweep::Swept) {
    let (job, scope, worker) = (&one.job, &one.scope, &one.worker);
    if one.state == State::Poisoned {
        error!(run = %one.run, %job, %scope, crash_attempts = one.crash_attempts, "{job} is poisoned: it took its worker with it {} times", one.crash_attempts);
    } else {
        warn!(run = %one.run, %job, %scope, %worker, "took the lease of {job} from {worker}, which has gone quiet");
    }
}
