//! Checks before a backup: nothing here changes anything.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::super::gate;
use super::super::graph::{Cancel, End, Outcome};
use super::super::restic::{self, Meaning};
use super::task::Task;
use crate::ground::wire::config::{RepositoryKind, SourceKind};

/// Whether every gate is open at `now`.
pub fn gate(task: &Task, now: DateTime<Utc>) -> End {
    // A zone that this build does not know would close every window; the server has checked it.
    let zone: chrono_tz::Tz = task.host.tz.parse().unwrap_or(chrono_tz::UTC);
    match gate::closed(&task.settings.gate, now.with_timezone(&zone).time()) {
        Some(why) => End::Skipped(why),
        None => End::Succeeded,
    }
}

/// Whether what must be mounted is.
pub fn mount(task: &Task) -> End {
    let own = task.settings.group.get(&task.group.name);
    let missing = own.and_then(|own| own.mounts.iter().find(|path| !is_mount_point(path)));
    match missing {
        Some(path) => End::Skipped(format!("{} is not mounted", path.display())),
        None => End::Succeeded,
    }
}

/// Whether the file that must be there is.
pub fn flag(task: &Task) -> End {
    let own = task.settings.group.get(&task.group.name);
    match own.and_then(|own| own.flag.as_ref()) {
        Some(path) if !path.exists() => End::Skipped(format!("{} is not there", path.display())),
        _ => End::Succeeded,
    }
}

/// Whether the group can be read.
pub fn identify_group(task: &Task) -> End {
    let group = &task.group;
    match group.kind {
        SourceKind::Command if group.command.as_deref().is_none_or(str::is_empty) => {
            End::Failed("the group has no command".to_owned())
        }
        SourceKind::Command => End::Succeeded,
        SourceKind::Directory | SourceKind::Restic if group.includes.is_empty() => {
            End::Failed("the group includes nothing".to_owned())
        }
        SourceKind::Directory | SourceKind::Restic => {
            let missing = group.includes.iter().find(|path| !Path::new(path).exists());
            missing.map_or(End::Succeeded, |path| End::Failed(format!("{path} is not there")))
        }
    }
}

/// Whether the repository is one for this group, and there.
pub fn check_destination(task: &Task) -> End {
    let (kind, repository) = (task.group.kind, &task.repository);
    match (kind, repository.kind) {
        (SourceKind::Restic, RepositoryKind::Restic) => End::Succeeded,
        (SourceKind::Command | SourceKind::Directory, RepositoryKind::Directory) => {
            let path = task.path();
            match std::fs::metadata(&path) {
                Ok(found) if found.is_dir() => End::Succeeded,
                Ok(_) => End::Failed(format!("{} is no directory", path.display())),
                // Not made here: a disk that is not mounted would be filled in its place.
                Err(error) => End::Failed(format!("the repository {}: {error}", path.display())),
            }
        }
        (source, to) => {
            End::Failed(format!("a group of kind {source} cannot go to a repository of kind {to}"))
        }
    }
}

/// Whether the archive has a place to go.
pub async fn identify_target(task: &Task, cancel: &Cancel) -> Outcome {
    match task.repository.kind {
        RepositoryKind::Restic => open_restic(task, cancel).await,
        RepositoryKind::Directory | RepositoryKind::S3 => {
            let place = task.path().join(task.record.to_string());
            if place.exists() {
                return End::Failed(format!("archive {} is there already", task.record)).into();
            }
            End::Succeeded.into()
        }
    }
}

async fn open_restic(task: &Task, cancel: &Cancel) -> Outcome {
    let access = task.restic();
    let opened = match access.open(cancel).await {
        Ok(ended)
            if restic::meaning(&ended) == Meaning::NoRepository
                && ended.stopped.is_none()
                && task.repository_settings().init =>
        {
            access.init(cancel).await
        }
        other => other,
    };
    let ended = match opened {
        Ok(ended) => ended,
        Err(error) => return End::Failed(format!("restic cannot be started: {error}")).into(),
    };
    let end = match restic::meaning(&ended) {
        Meaning::Done if ended.stopped.is_none() => End::Succeeded,
        Meaning::NoRepository => End::Failed(
            "there is no repository; \"init = true\" in agent.toml lets the agent make it".to_owned(),
        ),
        Meaning::WrongPassword => End::Failed("the repository's password is another".to_owned()),
        _ => End::Failed(format!("restic {}", ended.how())),
    };
    let log_tail = (end != End::Succeeded && !ended.tail.is_empty()).then(|| ended.tail.clone());
    Outcome { end, exit_code: ended.code, log_tail, bytes_added: None }
}

/// The first check that stands in the way of a run now, with its words; none if it would begin.
pub fn blocked(task: &Task, now: DateTime<Utc>) -> Option<(&'static str, String)> {
    let looked = [
        ("gate", gate(task, now)),
        ("mount", mount(task)),
        ("flag", flag(task)),
        ("identify-group", identify_group(task)),
        ("check-destination", check_destination(task)),
    ];
    looked.into_iter().find_map(|(name, end)| match end {
        End::Succeeded | End::Warned(_) => None,
        End::Failed(words) | End::Skipped(words) => Some((name, words)),
    })
}

/// Whether something is mounted at a path: it lies on another device than its parent, or is its own.
fn is_mount_point(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(own), Ok(parent)) = (std::fs::metadata(path), std::fs::metadata(path.join(".."))) else {
        return false;
    };
    own.dev() != parent.dev() || own.ino() == parent.ino()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_mounted_and_a_directory_below_it_is_not() {
        assert!(is_mount_point(Path::new("/")));
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("below");
        std::fs::create_dir(&below).unwrap();
        assert!(!is_mount_point(&below) && !is_mount_point(&dir.path().join("missing")));
    }
}
