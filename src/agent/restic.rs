//! The program restic, source and destination in one: its JSON is the progress, its snapshot the record.

use std::path::Path;

use serde::Deserialize;
use tokio::process::Command;

use super::graph::Cancel;
use super::process::{self, Ended};
use crate::ground::wire::config::Group;
use crate::ground::wire::fact::Progress;
use crate::ground::wire::id::RecordId;

/// What a repository needs beside its URL.
#[derive(Debug, Clone, Default)]
pub struct Access {
    pub url: String,
    /// `RESTIC_PASSWORD_FILE`, `AWS_ACCESS_KEY_ID`, ...: the host's own secrets, in the environment only.
    pub environment: Vec<(String, String)>,
}

/// What restic's exit codes say, as its manual lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Done,
    /// Some files could not be read; the snapshot is there.
    Incomplete,
    NoRepository,
    Locked,
    WrongPassword,
    Failed,
}

/// What an end means. Codes above 3 came with restic 0.17; before it only the words tell.
pub fn meaning(ended: &Ended) -> Meaning {
    match ended.code {
        Some(0) => Meaning::Done,
        Some(3) => Meaning::Incomplete,
        Some(10) => Meaning::NoRepository,
        Some(11) => Meaning::Locked,
        Some(12) => Meaning::WrongPassword,
        _ => {
            let says = |words: &str| ended.tail.contains(words);
            if says("Is there a repository at the following location?") {
                Meaning::NoRepository
            } else if says("wrong password or no key found") {
                Meaning::WrongPassword
            } else if says("repository is already locked") {
                Meaning::Locked
            } else {
                Meaning::Failed
            }
        }
    }
}

/// What a snapshot holds, in restic's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Summary {
    #[serde(default)]
    pub snapshot_id: Option<String>,
    #[serde(default)]
    pub data_added: u64,
    #[serde(default)]
    pub total_bytes_processed: u64,
    #[serde(default)]
    pub total_files_processed: u64,
}

/// A line of `restic backup --json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "message_type", rename_all = "snake_case")]
pub enum Message {
    Status {
        #[serde(default)]
        bytes_done: u64,
        #[serde(default)]
        total_bytes: u64,
        #[serde(default)]
        files_done: u64,
    },
    Summary(Summary),
    Error {
        #[serde(default)]
        item: String,
    },
    #[serde(other)]
    Other,
}

/// How a backup ended.
#[derive(Debug)]
pub struct Backup {
    pub ended: Ended,
    pub summary: Summary,
    /// What restic said of files that it could not read.
    pub errors: Vec<String>,
}

/// Most errors that are kept of one run.
const MOST_ERRORS: usize = 100;

impl Access {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("restic");
        // The URL may hold a password; the environment is for the same user's eyes only.
        command.env("RESTIC_REPOSITORY", &self.url).env("RESTIC_PROGRESS_FPS", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(words);
        command
    }

    /// Whether the repository can be opened.
    ///
    /// # Errors
    ///
    /// When restic cannot be started.
    pub async fn open(&self, cancel: &Cancel) -> std::io::Result<Ended> {
        process::run(&mut self.command(&["cat", "config", "--no-lock"]), cancel).await
    }

    /// Makes a new repository.
    ///
    /// # Errors
    ///
    /// When restic cannot be started.
    pub async fn init(&self, cancel: &Cancel) -> std::io::Result<Ended> {
        process::run(&mut self.command(&["init"]), cancel).await
    }

    /// Backs a group up, under tags by which its record is found again.
    ///
    /// # Errors
    ///
    /// When restic cannot be started.
    pub async fn backup(
        &self,
        group: &Group,
        host: &str,
        record: RecordId,
        cancel: &Cancel,
        mut progress: impl FnMut(Progress),
    ) -> std::io::Result<Backup> {
        let mut command = self.command(&["backup", "--json", "--host", host]);
        for tag in [format!("highwater-record={record}"), format!("highwater-group={}", group.id)] {
            command.arg("--tag").arg(tag);
        }
        for exclude in &group.excludes {
            command.arg("--exclude").arg(exclude);
        }
        command.arg("--").args(&group.includes);
        let mut summary = Summary::default();
        let ended = process::lines(&mut command, cancel, |line| match serde_json::from_str(line) {
            Ok(Message::Status { bytes_done, total_bytes, files_done }) => progress(Progress {
                bytes_done: Some(bytes_done),
                bytes_total: (total_bytes > 0).then_some(total_bytes),
                files_done: Some(files_done),
            }),
            Ok(Message::Summary(found)) => summary = found,
            Ok(Message::Error { .. } | Message::Other) | Err(_) => {}
        })
        .await?;
        // Errors come as JSON too, on the other pipe.
        let errors = ended.tail.lines().filter_map(|line| match serde_json::from_str(line) {
            Ok(Message::Error { item, .. }) => Some(format!("{item} could not be read")),
            _ => None,
        });
        let errors = errors.take(MOST_ERRORS).collect();
        Ok(Backup { ended, summary, errors })
    }

    /// Checks the repository's structure, and that a snapshot is in it.
    ///
    /// # Errors
    ///
    /// When restic cannot be started.
    pub async fn check(&self, snapshot: &str, cancel: &Cancel) -> std::io::Result<Ended> {
        let found = process::run(&mut self.command(&["cat", "snapshot", snapshot]), cancel).await?;
        if !found.is_success() {
            return Ok(found);
        }
        process::run(&mut self.command(&["check"]), cancel).await
    }

    /// Forgets a snapshot; its data goes with the repository's next prune.
    ///
    /// # Errors
    ///
    /// When restic cannot be started.
    pub async fn forget(&self, snapshot: &str, cancel: &Cancel) -> std::io::Result<Ended> {
        process::run(&mut self.command(&["forget", snapshot]), cancel).await
    }

    /// Restores a snapshot below `target`.
    ///
    /// # Errors
    ///
    /// When restic cannot be started.
    pub async fn restore(&self, snapshot: &str, target: &Path, cancel: &Cancel) -> std::io::Result<Ended> {
        let mut command = self.command(&["restore", snapshot, "--target"]);
        process::run(command.arg(target), cancel).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_restic_is_understood_by_its_words() {
        let ended =
            |code, tail: &str| Ended { code: Some(code), signal: None, tail: tail.to_owned(), stopped: None };
        assert_eq!(meaning(&ended(10, "")), Meaning::NoRepository);
        let words = "Fatal: unable to open config file\nIs there a repository at the following location?\n/x";
        assert_eq!(meaning(&ended(1, words)), Meaning::NoRepository);
        assert_eq!(meaning(&ended(1, "Fatal: wrong password or no key found")), Meaning::WrongPassword);
        assert_eq!(
            meaning(&ended(1, "unable to create lock in backend: repository is already locked by")),
            Meaning::Locked
        );
        assert_eq!(meaning(&ended(1, "something else")), Meaning::Failed);
    }

    #[test]
    fn restics_lines_are_read() {
        let status = r#"{"message_type":"status","percent_done":0.5,"total_files":3,"files_done":1,"total_bytes":10,"bytes_done":5}"#;
        assert_eq!(
            serde_json::from_str::<Message>(status).unwrap(),
            Message::Status { bytes_done: 5, total_bytes: 10, files_done: 1 }
        );
        let summary = r#"{"message_type":"summary","files_new":1,"data_added":1409,"total_files_processed":1,"total_bytes_processed":6,"snapshot_id":"ab12"}"#;
        let Message::Summary(summary) = serde_json::from_str(summary).unwrap() else { panic!("a summary") };
        assert_eq!((summary.snapshot_id.as_deref(), summary.data_added), (Some("ab12"), 1409));
        let error =
            r#"{"message_type":"error","error":{"Op":"read","Err":5},"during":"archival","item":"/x"}"#;
        assert_eq!(serde_json::from_str::<Message>(error).unwrap(), Message::Error { item: "/x".to_owned() });
        let other = serde_json::from_str::<Message>(r#"{"message_type":"verbose_status"}"#).unwrap();
        assert_eq!(other, Message::Other);
    }
}
