//! A backup that a person asks for on the host: one attempt for each repository of a group.

use std::path::Path;
use std::sync::Arc;

use super::clock::HostClock;
use super::graph::{Cancel, Why};
use super::journal;
use super::outbox::Outbox;
use super::run::{Task, Verdict, attempt};
use super::settings::Settings;
use super::{AgentError, config};
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::ground::wire::id::{JobId, RecordId};
use crate::ground::wire::state::Reason;

/// The attempts at a group, one for each of its repositories.
///
/// # Errors
///
/// [`AgentError::NoConfig`], [`AgentError::UnknownGroup`], [`AgentError::UnknownRepository`].
pub fn task(root: &Path, group: &str) -> Result<Vec<Task>, AgentError> {
    let settings = Settings::read(root)?;
    let found = config::read(root)?.ok_or_else(|| AgentError::NoConfig { path: root.to_owned() })?;
    let group = config::group(&found, group)?;
    let tasks = group.repositories.iter().map(|id| {
        Ok(Task {
            host: found.host.clone(),
            group: group.clone(),
            repository: config::repository(&found, *id)?.clone(),
            settings: settings.clone(),
            job: JobId::fresh(),
            record: RecordId::fresh(),
            schedule: None,
            slot_at: None,
            reason: Reason::Manual,
            attempt: 1,
            is_own: true,
            prune: Vec::new(),
            root: root.to_owned(),
        })
    });
    tasks.collect()
}

/// Makes one attempt; a signal cuts it short, and it is recorded and reported all the same.
///
/// # Errors
///
/// When the run cannot be noted, so that its death would go unseen.
pub async fn run(task: Task, outbox: &Arc<Outbox>, shutdown: &Shutdown) -> Result<Verdict, AgentError> {
    let (job, clock) = (task.job, Arc::new(HostClock::default()));
    journal::recover(outbox, &clock)?;
    journal::open(outbox.layout(), &journal::Open::of(&task))?;
    let (stop, cancel) = Cancel::channel();
    let work = attempt(task, Arc::clone(outbox), clock, &cancel);
    tokio::pin!(work);
    let verdict = tokio::select! {
        verdict = &mut work => verdict,
        () = shutdown.at_least(Urgency::Soon) => {
            stop.send_replace(Some(Why::Ending));
            work.await
        }
    };
    journal::close(outbox.layout(), job)?;
    Ok(verdict)
}
