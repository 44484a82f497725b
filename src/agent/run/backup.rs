//! The backup itself: a source's bytes into a repository, published when the source has said that it is done.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::super::archive::{self, ArchiveError, Manifest, Stored, Writer};
use super::super::graph::{Cancel, End, Outcome};
use super::super::process::{self, Ended};
use super::super::restic::{self, Meaning};
use super::super::tree::{Found, Tree};
use super::task::{Attempt, Made};
use crate::ground::wire::config::{RepositoryKind, SourceKind};
use crate::ground::wire::fact::{Fact, Progress};
use crate::ground::wire::state::ErrorClass;

/// Distance of progress reports.
const PROGRESS: Duration = Duration::from_secs(5);

/// Most warnings that are told.
const TOLD: usize = 5;

/// Makes the archive.
pub async fn run(attempt: &Attempt, cancel: &Cancel) -> Outcome {
    match attempt.task.group.kind {
        SourceKind::Restic => restic_backup(attempt, cancel).await,
        SourceKind::Command | SourceKind::Directory => stream(attempt, cancel).await,
    }
}

/// Reads the archive back.
pub async fn verify(attempt: &Attempt, cancel: &Cancel) -> Outcome {
    let task = &attempt.task;
    if task.repository.kind == RepositoryKind::Restic {
        let Some(snapshot) = attempt.archive().and_then(|made| made.snapshot) else {
            return End::Failed("there is no snapshot to verify".to_owned()).into();
        };
        return match task.restic().check(&snapshot, cancel).await {
            Ok(ended) if ended.is_success() => End::Succeeded.into(),
            Ok(ended) => Outcome {
                end: End::Failed(format!("restic check {}", ended.how())),
                exit_code: ended.code,
                log_tail: Some(ended.tail),
                bytes_added: None,
            },
            Err(error) => End::Failed(format!("restic cannot be started: {error}")).into(),
        };
    }
    let (repository, record) = (task.path(), task.record);
    match spawn_blocking(move || archive::verify(&repository, record)).await {
        Ok(Ok(_)) => End::Succeeded.into(),
        Ok(Err(error)) => End::Failed(error.to_string()).into(),
        Err(_) => End::Failed("the archive could not be read back".to_owned()).into(),
    }
}

/// How far a stream is, for whoever reports it.
#[derive(Default)]
struct Meter {
    bytes: Arc<AtomicU64>,
    files: Arc<AtomicU64>,
    is_cancelled: Arc<AtomicBool>,
}

async fn stream(attempt: &Attempt, cancel: &Cancel) -> Outcome {
    let meter = Meter::default();
    let work = write(attempt, cancel, &meter);
    tokio::pin!(work);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            () = tokio::time::sleep(PROGRESS) => {
                let files = meter.files.load(Ordering::Relaxed);
                attempt.tell(Fact::JobProgress(Progress {
                    bytes_done: Some(meter.bytes.load(Ordering::Relaxed)),
                    bytes_total: None,
                    files_done: (files > 0).then_some(files),
                })).await;
            }
            _ = cancel.requested(), if !meter.is_cancelled.load(Ordering::Relaxed) => {
                meter.is_cancelled.store(true, Ordering::Relaxed);
            }
        }
    }
}

async fn write(attempt: &Attempt, cancel: &Cancel, meter: &Meter) -> Outcome {
    let task = &attempt.task;
    let started_at = attempt.clock().now();
    let payload = Manifest::payload_name(task.group.kind, task.compression());
    let begun =
        Writer::begin(&task.path(), task.record, &payload, task.compression(), Arc::clone(&meter.bytes));
    let writer = match begun {
        Ok(writer) => writer,
        Err(error) => return attempt.failed(ErrorClass::Destination, error.to_string()).into(),
    };
    let (writer, found, ended) = match read(attempt, cancel, meter, writer).await {
        Ok(read) => read,
        Err(outcome) => return outcome,
    };
    // Everything is there; from here a cancel comes too late.
    let files = (task.group.kind == SourceKind::Directory).then_some(found.files);
    let manifest = |stored: &Stored| Manifest {
        version: 1,
        record: task.record,
        job: task.job,
        host: task.host.name.clone(),
        group: task.group.id,
        group_name: task.group.name.clone(),
        kind: task.group.kind,
        payload,
        compression: task.compression(),
        sha256: stored.sha256.clone(),
        stored_bytes: stored.stored_bytes,
        source_bytes: stored.source_bytes,
        files,
        started_at,
        finished_at: attempt.clock().now(),
    };
    let closed = spawn_blocking(move || {
        let mut writer = writer;
        writer.close().map(|stored| (writer, stored))
    });
    let published = match closed.await {
        Ok(Ok((writer, stored))) => {
            let manifest = manifest(&stored);
            let publishing = spawn_blocking(move || writer.publish(&manifest)).await;
            publishing.unwrap_or_else(|_| Err(panicked())).map(|()| stored)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(panicked()),
    };
    let stored = match published {
        Ok(stored) => stored,
        Err(error) => return attempt.failed(ErrorClass::Destination, error.to_string()).into(),
    };
    let bytes_added = stored.stored_bytes;
    attempt.made(Made {
        snapshot: None,
        bytes_total: stored.source_bytes,
        bytes_added,
        files,
        sha256: Some(stored.sha256),
    });
    let tail = ended.map(|ended| ended.tail).filter(|tail| !tail.is_empty());
    let log_tail = tail.or_else(|| (!found.warnings.is_empty()).then(|| found.warnings.join("\n")));
    Outcome { end: warned(&found), exit_code: None, log_tail, bytes_added: Some(bytes_added) }
}

fn panicked() -> ArchiveError {
    ArchiveError::File { action: "write", path: PathBuf::new(), error: io::Error::other("the writer failed") }
}

/// Pipes the source into the archive. An error of the source outranks one of the destination, which outranks a cancel.
async fn read(
    attempt: &Attempt,
    cancel: &Cancel,
    meter: &Meter,
    mut writer: Writer,
) -> Result<(Writer, Found, Option<Ended>), Outcome> {
    let task = &attempt.task;
    if task.group.kind == SourceKind::Command {
        let mut command = process::shell(task.group.command.as_deref().unwrap_or_default());
        command.envs(task.environment());
        let streamed = process::stream(&mut command, cancel, move |mut pipe| {
            let copied = io::copy(&mut pipe, &mut writer);
            (writer, copied)
        });
        let (ended, (writer, copied)) = match streamed.await {
            Ok(both) => both,
            Err(error) => {
                return Err(attempt
                    .failed(ErrorClass::Source, format!("the command cannot be started: {error}"))
                    .into());
            }
        };
        let outcome = |end, ended: Ended| Outcome {
            end,
            exit_code: ended.code,
            log_tail: Some(ended.tail).filter(|tail| !tail.is_empty()),
            bytes_added: None,
        };
        return match copied {
            // A full disk closes the pipe, and the program dies of that: it is not to blame.
            Err(error) if ended.is_success() || ended.is_broken_pipe() => {
                let words = format!("cannot write to {}: {error}", task.path().display());
                Err(outcome(attempt.failed(ErrorClass::Destination, words), ended))
            }
            _ if !ended.is_success() => {
                let class = if ended.stopped.is_some() { ErrorClass::Cancelled } else { ErrorClass::Source };
                let words = format!("the command {}", ended.how());
                Err(outcome(attempt.failed(class, words), ended))
            }
            _ => Ok((writer, Found::default(), Some(ended))),
        };
    }
    let includes: Vec<PathBuf> = task.group.includes.iter().map(PathBuf::from).collect();
    let excludes = task.group.excludes.clone();
    let (files, is_cancelled) = (Arc::clone(&meter.files), Arc::clone(&meter.is_cancelled));
    let reading = spawn_blocking(move || {
        let tree = Tree {
            includes: &includes,
            excludes: &excludes,
            files_done: &files,
            is_cancelled: &is_cancelled,
        };
        let found = tree.write(&mut writer);
        (writer, found)
    });
    let Ok((writer, found)) = reading.await else {
        return Err(attempt.failed(ErrorClass::Internal, "the reader of the tree failed").into());
    };
    match found {
        Ok(found) => Ok((writer, found, None)),
        Err(error) => {
            let (class, words) = match error.kind() {
                io::ErrorKind::ConnectionAborted => {
                    (ErrorClass::Cancelled, "the backup was cancelled".to_owned())
                }
                io::ErrorKind::NotFound => (ErrorClass::Source, error.to_string()),
                _ => (ErrorClass::Destination, format!("cannot write to {}: {error}", task.path().display())),
            };
            Err(attempt.failed(class, words).into())
        }
    }
}

fn warned(found: &Found) -> End {
    let count = found.warnings.len() as u64 + found.warnings_more;
    if count == 0 {
        return End::Succeeded;
    }
    let some: Vec<&str> = found.warnings.iter().take(TOLD).map(String::as_str).collect();
    End::Warned(format!("{count} could not be read as they are: {}", some.join("; ")))
}

async fn restic_backup(attempt: &Attempt, cancel: &Cancel) -> Outcome {
    let task = &attempt.task;
    let access = task.restic();
    let latest = std::sync::Mutex::new(None::<Progress>);
    let take = || latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let work = access.backup(&task.group, &task.host.name, task.record, cancel, |progress| {
        *latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(progress);
    });
    tokio::pin!(work);
    let backup = loop {
        tokio::select! {
            backup = &mut work => break backup,
            () = tokio::time::sleep(PROGRESS) => {
                if let Some(progress) = take() {
                    attempt.tell(Fact::JobProgress(progress)).await;
                }
            }
        }
    };
    let backup = match backup {
        Ok(backup) => backup,
        Err(error) => {
            return attempt
                .failed(ErrorClass::Destination, format!("restic cannot be started: {error}"))
                .into();
        }
    };
    let (ended, summary) = (backup.ended, backup.summary);
    let meaning = restic::meaning(&ended);
    let is_there = matches!(meaning, Meaning::Done | Meaning::Incomplete) && ended.stopped.is_none();
    let end = match meaning {
        _ if ended.stopped.is_some() => {
            attempt.failed(ErrorClass::Cancelled, format!("restic {}", ended.how()))
        }
        Meaning::Done => End::Succeeded,
        Meaning::Incomplete => {
            let some: Vec<&str> = backup.errors.iter().take(TOLD).map(String::as_str).collect();
            End::Warned(format!("restic could not read everything: {}", some.join("; ")))
        }
        Meaning::NoRepository => attempt.failed(ErrorClass::Destination, "the repository is gone"),
        Meaning::Locked => attempt.failed(
            ErrorClass::Destination,
            "the repository is locked; \"restic unlock\" removes the lock of a program that died",
        ),
        Meaning::WrongPassword => {
            attempt.failed(ErrorClass::Destination, "the repository's password is another")
        }
        Meaning::Failed => attempt.failed(ErrorClass::Source, format!("restic {}", ended.how())),
    };
    if is_there {
        attempt.made(Made {
            snapshot: summary.snapshot_id,
            bytes_total: summary.total_bytes_processed,
            bytes_added: summary.data_added,
            files: Some(summary.total_files_processed),
            sha256: None,
        });
    }
    let log_tail = Some(ended.tail).filter(|tail| !tail.is_empty());
    Outcome { end, exit_code: ended.code, log_tail, bytes_added: is_there.then_some(summary.data_added) }
}
