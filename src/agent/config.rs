//! What the server said about this host, kept so that schedules run also while it cannot be asked.

use std::path::Path;

use super::AgentError;
use super::outbox::{Layout, Place, place_durably};
use super::settings::Settings;
use crate::ground::cron::Cron;
use crate::ground::wire::config::{Config, Group, Repository, RepositoryKind, SourceKind};
use crate::ground::wire::id::RepositoryId;

/// The file in an agent's directory.
const FILE: &str = "config.json";

/// Reads the last configuration; none if no server has sent one yet.
///
/// # Errors
///
/// [`AgentError::BadConfig`], or what the file system says.
pub fn read(root: &Path) -> Result<Option<Config>, AgentError> {
    let path = root.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| AgentError::BadConfig { path, reason: error.to_string() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AgentError::file("read", &path, error)),
    }
}

/// Keeps a configuration, whole or not at all.
///
/// # Errors
///
/// What the file system says.
pub fn write(layout: &Layout, config: &Config) -> Result<(), AgentError> {
    let bytes = serde_json::to_vec_pretty(config).expect("a configuration has text keys only");
    let aside = layout.directory(Place::Tmp).join(FILE);
    place_durably(&aside, &layout.root().join(FILE), &bytes)
}

/// A group by its name or id.
///
/// # Errors
///
/// [`AgentError::UnknownGroup`] with the names that there are.
pub fn group<'config>(config: &'config Config, wanted: &str) -> Result<&'config Group, AgentError> {
    let found = config.groups.iter().find(|group| group.name == wanted || group.id.to_string() == wanted);
    found.ok_or_else(|| AgentError::UnknownGroup {
        name: wanted.to_owned(),
        known: config.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

/// A repository that a group goes to.
///
/// # Errors
///
/// [`AgentError::UnknownRepository`].
pub fn repository(config: &Config, id: RepositoryId) -> Result<&Repository, AgentError> {
    config.repositories.iter().find(|one| one.id == id).ok_or(AgentError::UnknownRepository { id })
}

/// What cannot work, each as a sentence.
pub fn faults(config: &Config, settings: &Settings) -> Vec<String> {
    let mut faults = Vec::new();
    for group in &config.groups {
        if group.repositories.is_empty() {
            faults.push(format!("group \"{}\" goes to no repository", group.name));
        }
        for id in &group.repositories {
            match repository(config, *id) {
                Err(error) => faults.push(format!("group \"{}\": {error}", group.name)),
                Ok(repository) => {
                    let fits = matches!(
                        (group.kind, repository.kind),
                        (SourceKind::Restic, RepositoryKind::Restic)
                            | (SourceKind::Command | SourceKind::Directory, RepositoryKind::Directory)
                    );
                    if !fits {
                        let (name, url) = (&group.name, &repository.url);
                        faults.push(format!(
                            "group \"{name}\" of kind {} cannot go to {url} of kind {}",
                            group.kind, repository.kind
                        ));
                    }
                }
            }
        }
    }
    for schedule in &config.schedules {
        if let Err(error) = Cron::parse(&schedule.cron, &schedule.tz) {
            faults.push(format!("schedule {}: {error}", schedule.id));
        }
    }
    for name in settings.group.keys().filter(|name| group(config, name).is_err()) {
        faults.push(format!("agent.toml speaks of group \"{name}\", which the server does not know"));
    }
    faults
}
