//! Heartbeat: renews all leases of a process with one statement, on a connection of its own, so that no job's work and
//! no busy pool can make it late. It knows three answers: renewed, lost, and none, which leaves the local deadline.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::SchedulerError;
use super::lease::{self, BEAT, Holdings, RunId, Token};
use super::pace::Pace;
use super::vitals::Vitals;
use crate::db::target::Target;
use crate::db::{DbError, Executor, Session, connect};

/// An answer that takes longer than this is none.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(4);

/// What a heartbeat found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    pub renewed: Vec<RunId>,
    /// Ours, but locked by a transaction that ends the run: nobody can take it, and nobody was waited for.
    pub finishing: Vec<RunId>,
    /// Not ours any more.
    pub lost: Vec<RunId>,
}

/// Renews leases, all that `held` names and the incarnation owns.
///
/// # Errors
///
/// What the server says; then nothing is known of any lease.
pub async fn beat(
    db: &impl Executor,
    incarnation: &str,
    held: &[(RunId, Token)],
) -> Result<Answers, SchedulerError> {
    let (runs, tokens): (Vec<i64>, Vec<i64>) = held.iter().map(|(run, token)| (run.0, token.0)).unzip();
    let statement = include_str!("../../sql/scheduler/heartbeat.sql");
    let rows = db.query(statement, &[&incarnation, &runs, &tokens, &lease::length_ms()]).await?;
    let mut answers = Answers::default();
    for &(run, token) in held {
        match rows.iter().find(|row| (row.get("run_id"), row.get("token")) == (run.0, token.0)) {
            Some(row) if row.get("is_finishing") => answers.finishing.push(run),
            Some(_) => answers.renewed.push(run),
            None => answers.lost.push(run),
        }
    }
    Ok(answers)
}

/// Beats until dropped.
pub async fn keep(target: Arc<Target>, incarnation: String, holdings: Holdings, vitals: Arc<Vitals>) {
    let mut session: Option<Session> = None;
    let mut pace = Pace::default();
    let mut next = Instant::now() + BEAT;
    loop {
        sleep_until(next).await;
        let sent = Instant::now();
        let held = holdings.list();
        next = sent + BEAT;
        if held.is_empty() {
            continue;
        }
        match timeout(PATIENCE, once(&mut session, &target, &incarnation, &held)).await {
            Ok(Ok(answers)) => {
                pace.reset();
                apply(&answers, &held, &holdings, sent, &vitals);
            }
            Ok(Err(error)) => {
                session = None;
                vitals.count_heartbeats("unverifiable", held.len());
                debug!(error = %error, "a heartbeat was not answered");
                next = Instant::now() + pace.pause();
            }
            Err(_) => {
                session = None;
                vitals.count_heartbeats("unverifiable", held.len());
                debug!("a heartbeat was not answered within {PATIENCE:?}");
                next = Instant::now() + pace.pause();
            }
        }
    }
}

async fn once(
    session: &mut Option<Session>,
    target: &Target,
    incarnation: &str,
    held: &[(RunId, Token)],
) -> Result<Answers, SchedulerError> {
    let connected: Result<&Session, DbError> = match session {
        Some(session) => Ok(session),
        None => Ok(session.insert(connect::connect(target, "worker heartbeat").await?)),
    };
    beat(connected?, incarnation, held).await
}

fn apply(answers: &Answers, held: &[(RunId, Token)], holdings: &Holdings, sent: Instant, vitals: &Vitals) {
    for &(run, token) in held {
        if !answers.lost.contains(&run) {
            holdings.renew(run, token, sent);
        } else if holdings.lose(run, token) {
            vitals.count_heartbeats("lost", 1);
            warn!(run = %run, token = %token, "lost the lease of run {run}");
        }
    }
    vitals.count_heartbeats("renewed", answers.renewed.len());
    vitals.count_heartbeats("finishing", answers.finishing.len());
}
