//! Finish: records how runs ended, many at once, each only if its lease is still ours.
//!
//! A run that writes to the database ends in its own transaction (see [`super::function`]); this is for all others, and
//! for what went wrong. An end whose answer was lost on the way is sent again: the lease is gone by then, if it arrived.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use super::SchedulerError;
use super::clip;
use super::lease::{Hold, RunId, Token};
use super::outcome::Outcome;
use super::pace::Pace;
use super::state::State;
use crate::db::target::Target;
use crate::db::{DbError, Executor, Session, connect};

/// Most ends of one statement.
const BATCH: usize = 100;

/// An answer that takes longer than this is none; far less than a lease, so that another connection can still be tried.
const PATIENCE: Duration = Duration::from_secs(4);

/// Pause before a locked end is tried again: what holds its lease is a heartbeat, or a transaction that is ending.
const LOCKED_PAUSE: Duration = Duration::from_millis(50);

/// An end to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub run: RunId,
    pub token: Token,
    pub outcome: Outcome,
}

/// What the database says to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Recorded; the plan now stands so, or was dropped with its job.
    Finished(Option<State>),
    /// The lease is locked at the moment; ask again.
    Locked,
    /// The lease is not ours any more; nothing was written.
    Lost,
}

/// Records ends, and gives their leases back, in one statement.
///
/// # Errors
///
/// What the server says; then none was recorded, unless the connection broke.
pub async fn finish(db: &impl Executor, ended: &[Ended]) -> Result<Vec<(RunId, Answer)>, SchedulerError> {
    let told: Vec<_> = ended.iter().filter_map(|one| one.outcome.word().map(|word| (one, word))).collect();
    let runs: Vec<i64> = told.iter().map(|(one, _)| one.run.0).collect();
    let tokens: Vec<i64> = told.iter().map(|(one, _)| one.token.0).collect();
    let words: Vec<String> = told.iter().map(|(_, word)| (*word).to_owned()).collect();
    let (results, errors): (Vec<String>, Vec<String>) = told
        .iter()
        .map(|(one, _)| match &one.outcome {
            Outcome::Done(result) => (clip::result(result), String::new()),
            Outcome::Failed(words) | Outcome::Crashed(words) => (String::new(), clip::error(words)),
            Outcome::Stopped | Outcome::Recorded | Outcome::Lost => (String::new(), String::new()),
        })
        .unzip();
    let statement = include_str!("../../sql/scheduler/finish.sql");
    let rows = db.query(statement, &[&runs, &tokens, &words, &results, &errors]).await?;
    rows.iter()
        .map(|row| {
            let answer = match row.get::<_, &str>("answer") {
                "finished" => {
                    Answer::Finished(row.get::<_, Option<&str>>("state").map(State::read).transpose()?)
                }
                "locked" => Answer::Locked,
                "lost" => Answer::Lost,
                word => {
                    return Err(SchedulerError::UnknownWord { what: "answer", word: word.to_owned() });
                }
            };
            Ok((RunId(row.get("run_id")), answer))
        })
        .collect()
}

/// Records one end with nothing in it that the server could refuse.
///
/// # Errors
///
/// What the server says.
pub async fn finish_bare(db: &impl Executor, ended: &Ended, reason: &str) -> Result<Answer, SchedulerError> {
    let outcome = match &ended.outcome {
        Outcome::Failed(_) => Outcome::Failed(format!("its error cannot be recorded: {reason}")),
        Outcome::Crashed(_) => Outcome::Crashed(format!("its error cannot be recorded: {reason}")),
        Outcome::Done(_) => Outcome::Done(serde_json::json!({"unrecorded": reason})),
        other => other.clone(),
    };
    let answers = finish(db, &[Ended { outcome, ..ended.clone() }]).await?;
    Ok(answers.first().map_or(Answer::Lost, |(_, answer)| *answer))
}

/// Records the ends that arrive, until the last sender is gone. While the database cannot be reached they wait, each as
/// long as its lease lasts; after that the sweep of some worker speaks for them.
///
/// `wake` is told of each batch that was recorded: the next plan of a scope that forbids overlap can be claimed then.
pub async fn keep(
    target: Arc<Target>,
    mut ends: mpsc::UnboundedReceiver<(Hold, Outcome)>,
    wake: Arc<Notify>,
) {
    let mut session: Option<Session> = None;
    let mut pace = Pace::default();
    let mut waiting: Vec<(Hold, Outcome)> = Vec::new();
    loop {
        if waiting.is_empty() && ends.recv_many(&mut waiting, BATCH).await == 0 {
            return;
        }
        while waiting.len() < BATCH {
            let Ok(one) = ends.try_recv() else { break };
            waiting.push(one);
        }
        waiting.retain(|(hold, outcome)| {
            let is_live = hold.is_live();
            if !is_live {
                warn!(run = %hold.run, outcome = outcome.label(), "run {} ended, but its lease did before", hold.run);
                hold.end();
            }
            is_live
        });
        let recorded = timeout(PATIENCE, record(&mut session, &target, &mut waiting)).await;
        match recorded {
            Err(_) => {
                debug!("ends of runs were not answered within {PATIENCE:?}");
                session = None;
                tokio::time::sleep(pace.pause()).await;
            }
            Ok(Ok(())) if waiting.is_empty() => {
                pace.reset();
                wake.notify_one();
            }
            Ok(Ok(())) => tokio::time::sleep(LOCKED_PAUSE).await,
            Ok(Err(reason)) => {
                debug!(error = %reason, "ends of runs cannot be recorded now");
                session = None;
                tokio::time::sleep(pace.pause()).await;
            }
        }
    }
}

/// One statement's worth of ends; what is left in `waiting` was locked.
async fn record(
    session: &mut Option<Session>,
    target: &Target,
    waiting: &mut Vec<(Hold, Outcome)>,
) -> Result<(), SchedulerError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let db = match session {
        Some(session) => session,
        None => session.insert(connect::connect(target, "worker finish").await?),
    };
    let ended: Vec<Ended> = waiting
        .iter()
        .map(|(hold, outcome)| Ended { run: hold.run, token: hold.token, outcome: outcome.clone() })
        .collect();
    let answers = match finish(&*db, &ended).await {
        Ok(answers) => answers,
        Err(SchedulerError::Db(error @ (DbError::Lost(_) | DbError::Connect { .. }))) => {
            return Err(error.into());
        }
        Err(refused) => {
            // One of them holds something that the server does not take. Each on its own, and bare.
            error!(error = %refused, "the end of a run was refused; recording it without its words");
            let reason = clip::text(&refused.to_string(), 200);
            let mut answers = Vec::with_capacity(ended.len());
            for one in &ended {
                let answer = match finish(&*db, std::slice::from_ref(one)).await {
                    Ok(answers) => answers.first().map_or(Answer::Lost, |(_, answer)| *answer),
                    Err(_) => finish_bare(&*db, one, &reason).await?,
                };
                answers.push((one.run, answer));
            }
            answers
        }
    };
    waiting.retain(|(hold, _)| {
        let answer = answers.iter().find(|(run, _)| *run == hold.run).map(|(_, answer)| *answer);
        match answer {
            Some(Answer::Locked) => return true,
            Some(Answer::Lost) => {
                debug!(run = %hold.run, "the lease of run {} is not ours any more", hold.run)
            }
            Some(Answer::Finished(_)) | None => {}
        }
        hold.end();
        false
    });
    Ok(())
}
