//! Runs that are open: one small file each, from before anything is done until its end is in the outbox. What a start
//! finds here was interrupted by a death, and is reported as such.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::AgentError;
use super::clock::HostClock;
use super::outbox::{Draft, Layout, Outbox, Place, make_directory, place_durably, sync_directory};
use super::run::Task;
use crate::ground::fault;
use crate::ground::wire::fact::{Fact, Finished};
use crate::ground::wire::id::{GroupId, JobId, RecordId, RepositoryId};
use crate::ground::wire::state::Ended;

/// An open run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    pub job: JobId,
    pub record: RecordId,
    pub source_group: GroupId,
    pub repository: RepositoryId,
    /// How it ended, from before that is in the outbox: whatever a death leaves, one run has one end.
    #[serde(default)]
    pub finished: Option<Finished>,
}

fn directory(layout: &Layout) -> PathBuf {
    layout.root().join("runs")
}

/// Notes that a run begins.
///
/// # Errors
///
/// What the file system says.
pub fn open(layout: &Layout, run: &Open) -> Result<(), AgentError> {
    make_directory(&directory(layout))?;
    write(layout, run)
}

/// Notes how a run ended, before that is reported. A run that was never noted has no note.
///
/// # Errors
///
/// What the file system says.
pub fn ending(layout: &Layout, job: JobId, finished: &Finished) -> Result<(), AgentError> {
    let noted = list(layout)?.into_iter().find(|run| run.job == job);
    match noted {
        Some(run) => write(layout, &Open { finished: Some(finished.clone()), ..run }),
        None => Ok(()),
    }
}

fn write(layout: &Layout, run: &Open) -> Result<(), AgentError> {
    let bytes = serde_json::to_vec(run).expect("a run has text keys only");
    let name = format!("{}.json", run.job);
    place_durably(&layout.directory(Place::Tmp).join(&name), &directory(layout).join(&name), &bytes)
}

/// Notes that the end of a run is in the outbox.
///
/// # Errors
///
/// What the file system says.
pub fn close(layout: &Layout, job: JobId) -> Result<(), AgentError> {
    fault::point("journal.close");
    let path = directory(layout).join(format!("{job}.json"));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AgentError::file("remove", &path, error))
        }
        _ => sync_directory(&directory(layout)),
    }
}

/// The runs that are open, in no particular order.
///
/// # Errors
///
/// What the file system says. A file that is no run is passed over: it was never whole.
pub fn list(layout: &Layout) -> Result<Vec<Open>, AgentError> {
    let directory = directory(layout);
    let found = match std::fs::read_dir(&directory) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AgentError::file("read", &directory, error)),
    };
    let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
    Ok(found.flatten().filter_map(|entry| read(entry.path())).collect())
}

impl Open {
    /// The note of a task.
    pub fn of(task: &Task) -> Open {
        Open {
            job: task.job,
            record: task.record,
            source_group: task.group.id,
            repository: task.repository.id,
            finished: None,
        }
    }
}

/// Reports the runs that a death interrupted, or whose end it kept from being reported, and closes them. Returns how
/// many there were.
///
/// # Errors
///
/// What the outbox says; what was not reported stays open.
pub fn recover(outbox: &Outbox, clock: &HostClock) -> Result<usize, AgentError> {
    let open = list(outbox.layout())?;
    for run in &open {
        let finished = run.finished.clone().unwrap_or_else(|| Finished {
            state: Ended::Interrupted,
            error_class: None,
            error: Some("the agent ended in the middle of the run".to_owned()),
            bytes_total: None,
            bytes_added: None,
            files: None,
        });
        warn!(job = %run.job, state = %finished.state, "the last agent ended before job {} was closed", run.job);
        let draft = Draft::Event { job: Some(run.job), fact: Fact::JobFinished(finished) };
        outbox.enqueue(&[(draft, clock.stamp())])?;
        close(outbox.layout(), run.job)?;
    }
    Ok(open.len())
}
