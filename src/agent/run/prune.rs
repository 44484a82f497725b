//! Removing archives that the server's retention has found: the archive first, its row after.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::spawn_blocking;

use super::super::archive;
use super::super::graph::{Cancel, End, Outcome};
use super::task::Attempt;
use crate::ground::wire::config::RepositoryKind;
use crate::ground::wire::work::Prunable;

/// How long the host itself remembers what it removed.
const HISTORY: TimeDelta = TimeDelta::days(31);

/// Does one action of the phase.
pub async fn perform(attempt: &Attempt, name: &str, cancel: &Cancel) -> Outcome {
    match name {
        "find-prunable" => find(attempt),
        "mark-pruning" => mark(attempt),
        "log-prune" => log(attempt),
        "expire-history" => expire(attempt),
        _ => match name.strip_prefix("remove/") {
            Some(record) => remove(attempt, record, cancel).await,
            None => End::Failed(format!("there is no action {name}")).into(),
        },
    }
}

fn find(attempt: &Attempt) -> Outcome {
    let mut words = String::new();
    for one in &attempt.task.prune {
        let _ = writeln!(words, "{} {}", one.record, one.reason);
    }
    Outcome { end: End::Succeeded, exit_code: None, log_tail: Some(words), bytes_added: None }
}

/// Nothing is removed that is not of this group, and never what was just made.
fn mark(attempt: &Attempt) -> Outcome {
    let task = &attempt.task;
    if task.prune.iter().any(|one| one.record == task.record) {
        return End::Failed("the archive that was just made is to be removed; nothing is".to_owned()).into();
    }
    if task.repository.kind == RepositoryKind::Directory {
        for one in &task.prune {
            // One that is gone already needs no look.
            if let Ok(manifest) = archive::read_manifest(&task.path(), one.record)
                && manifest.group != task.group.id
            {
                let words = format!(
                    "archive {} is of group \"{}\"; nothing is removed",
                    one.record, manifest.group_name
                );
                return End::Failed(words).into();
            }
        }
    }
    End::Succeeded.into()
}

async fn remove(attempt: &Attempt, record: &str, cancel: &Cancel) -> Outcome {
    let task = &attempt.task;
    let Some(one) = task.prune.iter().find(|one| one.record.to_string() == record) else {
        return End::Failed(format!("archive {record} was not to be removed")).into();
    };
    if task.repository.kind == RepositoryKind::Restic {
        return forget(attempt, one, cancel).await;
    }
    let (repository, record) = (task.path(), one.record);
    match spawn_blocking(move || archive::remove(&repository, record)).await {
        Ok(Ok(())) => End::Succeeded.into(),
        Ok(Err(error)) => End::Failed(error.to_string()).into(),
        Err(_) => End::Failed(format!("archive {record} could not be removed")).into(),
    }
}

async fn forget(attempt: &Attempt, one: &Prunable, cancel: &Cancel) -> Outcome {
    let Some(snapshot) = &one.snapshot else {
        return End::Failed(format!("archive {} has no snapshot", one.record)).into();
    };
    match attempt.task.restic().forget(snapshot, cancel).await {
        Ok(ended) if ended.is_success() => End::Succeeded.into(),
        Ok(ended) => Outcome {
            end: End::Failed(format!("restic forget {}", ended.how())),
            exit_code: ended.code,
            log_tail: Some(ended.tail),
            bytes_added: None,
        },
        Err(error) => End::Failed(format!("restic cannot be started: {error}")).into(),
    }
}

fn history(attempt: &Attempt) -> PathBuf {
    attempt.task.root.join("prune.log")
}

fn log(attempt: &Attempt) -> Outcome {
    let mut text = fs::read_to_string(history(attempt)).unwrap_or_default();
    let now = attempt.clock().now().to_rfc3339();
    for one in &attempt.task.prune {
        let _ = writeln!(text, "{now} {} {} {}", attempt.task.group.name, one.record, one.reason);
    }
    written(attempt, &text)
}

fn expire(attempt: &Attempt) -> Outcome {
    let text = fs::read_to_string(history(attempt)).unwrap_or_default();
    let oldest = attempt.clock().now() - HISTORY;
    let is_young = |line: &&str| {
        let at = line.split(' ').next().and_then(|word| DateTime::parse_from_rfc3339(word).ok());
        at.is_some_and(|at| at.with_timezone(&Utc) >= oldest)
    };
    let kept: String = text.lines().filter(is_young).flat_map(|line| [line, "\n"]).collect();
    written(attempt, &kept)
}

fn written(attempt: &Attempt, text: &str) -> Outcome {
    let path = history(attempt);
    match fs::write(&path, text) {
        Ok(()) => End::Succeeded.into(),
        Err(error) => End::Failed(format!("cannot write {}: {error}", path.display())).into(),
    }
}
