//! What the endpoints know of the database: asked at most once in a while, and never for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::db::target::Target;
use crate::db::{DbError, Executor, Session, connect};
use crate::job::rpo::{self, Gauges};
use crate::rollup::RollupName;
use crate::rollup::backlog::{self, Backlog};
use crate::scheduler::builtin::watch::{self, Lag, STOPPED_SECONDS};
use crate::scheduler::lease;
use crate::scheduler::state::State;
use crate::scheduler::vitals::Snapshot;

/// An answer of the database is good for this long, however often somebody asks.
const FRESH: Duration = Duration::from_secs(2);

/// Longest wait for the database.
const PATIENCE: Duration = Duration::from_secs(3);

/// The main loop goes round at least this often, unless it hangs; its own patience with a silent server is shorter.
const LIVELY: Duration = Duration::from_secs(60);

/// Without an answer to the main loop for this long the worker is not ready.
const REACHED: Duration = Duration::from_secs(10);

/// One thing that was looked at.
pub struct Check {
    pub name: String,
    pub problem: Option<String>,
}

/// The database's side of the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub lags: Vec<Lag>,
    pub backlogs: Vec<Backlog>,
    /// Plans by state; those that are over for good only where something went wrong.
    pub plans: [(State, i64); 5],
    pub oldest_due_seconds: f64,
    pub oldest_run_seconds: f64,
    /// Since the longest silent holder of a lease was heard.
    pub lease_age_seconds: f64,
    /// How long ago the oldest lease ran out; 0 when none has.
    pub lease_overdue_seconds: f64,
    pub backups: Gauges,
}

/// Asks the database on behalf of all who ask us.
pub struct Readiness {
    target: Arc<Target>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    session: Option<Session>,
    view: Option<(Instant, Option<View>)>,
}

/// Whether the main loop goes round.
pub fn is_alive(vitals: &Snapshot) -> bool {
    vitals.turned.unwrap_or(vitals.uptime) < LIVELY
}

impl Readiness {
    pub fn new(target: Arc<Target>) -> Readiness {
        Readiness { target, inner: Mutex::default() }
    }

    /// What the database says; `None` when it cannot be asked.
    pub async fn view(&self) -> Option<View> {
        let mut inner = self.inner.lock().await;
        if let Some((at, view)) = &inner.view
            && at.elapsed() < FRESH
        {
            return view.clone();
        }
        let view = match timeout(PATIENCE, inner.ask(&self.target)).await {
            Ok(Ok(view)) => Some(view),
            Ok(Err(error)) => {
                debug!(error = %error, "the database cannot be asked");
                None
            }
            Err(_) => None,
        };
        if view.is_none() {
            inner.session = None;
        }
        inner.view = Some((Instant::now(), view.clone()));
        view
    }

    /// Everything that decides about readiness.
    pub async fn checks(&self, vitals: &Snapshot) -> Vec<Check> {
        let check = |name: &str, problem: Option<String>| Check { name: name.to_owned(), problem };
        let mut checks = vec![
            check("loop", (!is_alive(vitals)).then(|| "the main loop does not go round".to_owned())),
            check("shutdown", vitals.is_draining.then(|| "the worker is ending".to_owned())),
        ];
        let unreached = vitals.reached.is_none_or(|reached| reached > REACHED);
        let view = self.view().await;
        let problem = (unreached || view.is_none()).then(|| "the database does not answer".to_owned());
        checks.push(check("database", problem));
        for lag in view.map(|view| view.lags).unwrap_or_default() {
            let problem = (lag.lag_seconds > STOPPED_SECONDS && !lag.is_paused)
                .then(|| format!("{:.0} s behind its source", lag.lag_seconds));
            checks.push(check(&format!("rollup {}", lag.rollup), problem));
        }
        checks
    }
}

impl Inner {
    async fn ask(&mut self, target: &Target) -> Result<View, DbError> {
        let session = match &mut self.session {
            Some(session) if !session.is_closed() => session,
            slot => slot.insert(connect::connect(target, "worker http").await?),
        };
        let lags = watch::read(&*session).await?;
        let row = session.query_one(include_str!("../../sql/scheduler/gauges.sql"), &[]).await?;
        let named = |lag: &Lag| Some((RollupName::parse(&lag.rollup).ok()?, lag.has_watch));
        let names: Vec<(RollupName, bool)> = lags.iter().filter_map(named).collect();
        let backlogs = match backlog::read(&*session, &names).await {
            Err(DbError::Server(error)) => {
                debug!(error = %error, "a rollup was dropped while its marks were counted");
                Vec::new()
            }
            backlogs => backlogs?,
        };
        let left: Option<f64> = row.get("least_left_seconds");
        let backups = rpo::gauges(&*session).await?;
        Ok(View {
            lags,
            backups,
            backlogs,
            plans: [
                (State::Due, row.get("due")),
                (State::Retrying, row.get("retrying")),
                (State::Running, row.get("leases")),
                (State::Failed, row.get("failed")),
                (State::Poisoned, row.get("poisoned")),
            ],
            oldest_due_seconds: row.get::<_, f64>("oldest_due_seconds").max(0.0),
            oldest_run_seconds: row.get::<_, f64>("oldest_run_seconds").max(0.0),
            lease_age_seconds: left.map_or(0.0, |left| (lease::LENGTH.as_secs_f64() - left).max(0.0)),
            lease_overdue_seconds: left.map_or(0.0, |left| (-left).max(0.0)),
        })
    }
}
