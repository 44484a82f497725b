//! The agent on duty: says hello, keeps its configuration, runs what the server hands out and what its own cron says
//! while no server answers, and reports it all through the outbox.

mod cron;
mod hello;
mod slots;
mod work;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::client::Client;
use super::clock::HostClock;
use super::graph::Why;
use super::outbox::{Bounds, Outbox};
use super::replay::{Pacing, Replay};
use super::settings::Settings;
use super::{AgentError, config, journal};
use crate::ground::clock;
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::ground::wire::config::Config;
use crate::ground::wire::id::{GroupId, JobId};

/// How long the last reports may take to be sent when the agent ends; what is left waits on the disk.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How the agent behaves when it is told to end.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Runs in hand may take this long; then they are interrupted, recorded and reported.
    pub drain_timeout: Duration,
}

/// An agent on duty.
pub struct Duty {
    outbox: Arc<Outbox>,
    client: Arc<Client>,
    clock: Arc<HostClock>,
    settings: Settings,
    config: Mutex<Option<Config>>,
    /// Held while the configuration is fetched: hello and an assignment may want it at once.
    fetching: tokio::sync::Mutex<()>,
    /// Jobs that run here, and their groups.
    running: Mutex<HashSet<(JobId, GroupId)>>,
    /// As many runs at once as the host may have.
    room: Arc<Semaphore>,
    is_online: AtomicBool,
    /// Milliseconds since boot of the last wake-up.
    woke_ms: AtomicI64,
    /// The server is back, and has not heard a hello.
    greet: Notify,
    /// Stops the runs.
    stop: watch::Sender<Option<Why>>,
    runs: tokio::sync::Mutex<JoinSet<()>>,
}

/// Runs the agent until the shutdown asks for its end. `ready` is called once it is on duty.
///
/// # Errors
///
/// [`AgentError::Busy`], or settings that cannot work.
pub async fn run(
    root: &Path,
    options: Options,
    shutdown: &Shutdown,
    ready: impl FnOnce(),
) -> Result<(), AgentError> {
    let settings = Settings::read(root)?;
    let client = Arc::new(Client::new(root, &settings)?);
    let outbox = Arc::new(Outbox::open(root, Bounds::default(), clock::local_now())?);
    let clock = Arc::new(HostClock::default());
    let interrupted = journal::recover(&outbox, &clock)?;
    let found = outbox.found();
    info!(
        waiting = found.waiting,
        unreadable = found.unreadable,
        interrupted,
        epoch = outbox.epoch(),
        "on duty in {}, {} reports wait",
        root.display(),
        found.waiting
    );
    let config = config::read(root)?;
    let most = config.as_ref().map_or(1, |config| config.host.max_concurrent);
    let (stop, _) = watch::channel(None);
    let duty = Arc::new(Duty {
        outbox: Arc::clone(&outbox),
        client: Arc::clone(&client),
        clock: Arc::clone(&clock),
        settings,
        config: Mutex::new(config),
        fetching: tokio::sync::Mutex::default(),
        running: Mutex::default(),
        room: Arc::new(Semaphore::new(most.max(1) as usize)),
        is_online: AtomicBool::new(false),
        woke_ms: AtomicI64::new(crate::ground::boot::elapsed_ms()),
        greet: Notify::new(),
        stop,
        runs: tokio::sync::Mutex::default(),
    });
    let replay = Replay::new(Arc::clone(&outbox), client, clock, Pacing::default());
    let replay = tokio::spawn(replay.run(shutdown.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(hello::keep(Arc::clone(&duty)));
    tasks.spawn(work::keep(Arc::clone(&duty)));
    tasks.spawn(cron::keep(Arc::clone(&duty)));
    ready();
    shutdown.at_least(Urgency::Soon).await;
    // Nothing new begins.
    tasks.shutdown().await;
    duty.end(options.drain_timeout, shutdown).await;
    let emptied = async {
        while !outbox.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(LAST_WORDS, emptied).await.is_err() {
        info!("the rest of the reports waits for the next start");
    }
    replay.abort();
    Ok(())
}

impl Duty {
    /// Lets runs in hand end, and interrupts them when that takes too long or a second signal comes.
    async fn end(&self, drain_timeout: Duration, shutdown: &Shutdown) {
        let mut runs = self.runs.lock().await;
        let all = async { while runs.join_next().await.is_some() {} };
        tokio::pin!(all);
        tokio::select! {
            () = &mut all => return,
            () = tokio::time::sleep(drain_timeout) => {}
            () = shutdown.at_least(Urgency::Now) => {}
        }
        warn!("runs in hand are interrupted");
        self.stop.send_replace(Some(Why::Ending));
        // Each closes, records and reports under its own limits.
        all.await;
    }

    /// Begins a run beside the others.
    async fn spawn(&self, run: impl Future<Output = ()> + Send + 'static) {
        let mut runs = self.runs.lock().await;
        while runs.try_join_next().is_some() {}
        runs.spawn(run);
    }

    fn config(&self) -> Option<Config> {
        lock(&self.config).clone()
    }

    fn is_online(&self) -> bool {
        self.is_online.load(Ordering::Relaxed)
    }

    fn heard(&self, is_online: bool) {
        if self.is_online.swap(is_online, Ordering::Relaxed) != is_online {
            if is_online {
                info!(server = %self.client.base(), "the server answers");
                self.greet.notify_one();
            } else {
                warn!(server = %self.client.base(), "the server does not answer; schedules run here meanwhile");
            }
        }
    }

    fn is_group_running(&self, group: GroupId) -> bool {
        lock(&self.running).iter().any(|(_, one)| *one == group)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
