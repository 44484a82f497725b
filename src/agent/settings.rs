//! `DIR/agent.toml`: what the host itself decides, and its secrets. What is backed up and when comes from the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::archive::Compression;

/// The file in an agent's directory.
pub const FILE: &str = "agent.toml";

/// All settings; a missing file is all of them left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `https://host:port`; written by `agent enrol`.
    pub server: Option<String>,
    /// A file with certificates that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// Lets the token travel without TLS to another machine.
    pub plain_http: bool,
    pub gate: Gate,
    pub hooks: Hooks,
    /// By the name of the group.
    pub group: BTreeMap<String, GroupSettings>,
    /// By the repository's URL, or its id.
    pub repository: BTreeMap<String, RepositorySettings>,
}

/// When a run may begin.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// `22:00-06:00`, in the host's zone as the server knows it; none: at any time.
    pub window: Option<String>,
    /// Only while on external power; a machine without a battery always is.
    pub needs_power: bool,
    /// Not over a connection that NetworkManager calls metered; best effort, for where it does not run all is well.
    pub avoids_metered: bool,
}

/// Lines for the shell around the use of repositories.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    pub pre_access: Option<String>,
    pub post_access: Option<String>,
}

/// What the host adds to a group.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSettings {
    /// Mount points that must be mounted.
    pub mounts: Vec<PathBuf>,
    /// A file that must be there.
    pub flag: Option<PathBuf>,
    /// Whether the archive is read back; by default where that means reading the archive alone.
    pub verify: Option<bool>,
}

/// What the host knows of a repository.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepositorySettings {
    pub compression: Option<Compression>,
    /// Restic: make the repository when it is not there.
    pub init: bool,
    /// Restic: a file with the password.
    pub password_file: Option<PathBuf>,
    /// For the program that keeps the archives.
    pub env: BTreeMap<String, String>,
}

/// Settings that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} {reason}", path.display())]
pub struct SettingsError {
    pub path: PathBuf,
    pub reason: String,
}

impl Settings {
    /// Reads the settings of an agent's directory.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], with the place in the file.
    pub fn read(root: &Path) -> Result<Settings, SettingsError> {
        let path = root.join(FILE);
        let fault = |reason: String| SettingsError { path: path.clone(), reason };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
            Err(error) => return Err(fault(format!("cannot be read: {error}"))),
        };
        let settings: Settings =
            toml::from_str(&text).map_err(|error| fault(format!("is not valid: {error}")))?;
        if let Some(window) = &settings.gate.window {
            super::gate::Window::read(window).map_err(fault)?;
        }
        if let Some(server) = &settings.server
            && !(server.starts_with("https://") || server.starts_with("http://"))
        {
            return Err(fault(format!("says server = \"{server}\"; it must begin with https:// or http://")));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_a_wrong_word_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(dir.path()).unwrap(), Settings::default());
        let path = dir.path().join(FILE);
        let text = "server = \"https://hw.example\"\n[gate]\nwindow = \"22:00-06:00\"\n[group.home]\nflag = \"/home/.here\"\n\
                    [repository.\"/srv/restic\"]\ninit = true\npassword_file = \"/etc/restic\"\n";
        std::fs::write(&path, text).unwrap();
        let settings = Settings::read(dir.path()).unwrap();
        assert!(settings.repository["/srv/restic"].init);
        for (text, word) in [
            ("srever = \"x\"", "srever"),
            ("[gate]\nwindow = \"25:00-1\"", "25:00-1"),
            ("server = \"ftp://x\"", "https://"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Settings::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
