//! What can go wrong on a host.

use std::path::{Path, PathBuf};

use super::archive::ArchiveError;
use super::graph::GraphError;
use super::settings::SettingsError;
use crate::ground::exit::Exit;
use crate::ground::wire::id::RepositoryId;

/// An error of the agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The file system refused something.
    #[error("cannot {action} {}: {error}", path.display())]
    File { action: &'static str, path: PathBuf, error: std::io::Error },
    #[error(
        "another agent (process {holder}) uses {}; stop it, or give this one a directory of its own",
        path.display()
    )]
    Busy { path: PathBuf, holder: String },
    /// Nobody has run an agent here.
    #[error("{0} is no agent's directory; \"highwater agent enrol --dir {0}\" makes one", path.display())]
    NoDirectory { path: PathBuf },
    #[error(
        "{} holds \"{text}\", which is no number; write a number into it that is higher than any epoch before",
        path.display()
    )]
    BadEpoch { path: PathBuf, text: String },
    /// No space left, for a write that must wait or be refused.
    #[error("the disk of {} is full; make room, nothing that was acknowledged is lost", path.display())]
    DiskFull { path: PathBuf },
    /// The outbox holds as much as it may; what ends a job is still taken.
    #[error("the outbox is full ({why}); it drains when the server can be reached")]
    OutboxFull { why: String },
    #[error("there is no entry \"{name}\" in the outbox; see \"highwater outbox list\"")]
    UnknownEntry { name: String },
    #[error("entry {name} waits to be sent; only entries in conflict/ and dead/ can be retried")]
    NotRefused { name: String },
    /// What the server once sent cannot be read.
    #[error("{} is no configuration ({reason}); remove it, the server sends it again", path.display())]
    BadConfig { path: PathBuf, reason: String },
    #[error("{} has no configuration from a server yet; \"highwater agent run\" fetches it", path.display())]
    NoConfig { path: PathBuf },
    #[error("there is no group \"{name}\"; the server knows: {known}")]
    UnknownGroup { name: String, known: String },
    #[error("the server does not say what repository {id} is")]
    UnknownRepository { id: RepositoryId },
    /// There was no answer.
    #[error("{server} {reason}")]
    Away { server: String, reason: String },
    /// Whoever answered is no server of ours, or one that is not understood.
    #[error("the server is not understood: {reason}")]
    Strange { reason: String },
    #[error("{} names no server; \"highwater agent enrol\" writes it into agent.toml", path.display())]
    NoServer { path: PathBuf },
    #[error(
        "{server} would be sent the token in the clear; use https://, or say \"plain_http = true\" in agent.toml on a \
         network that you trust"
    )]
    PlainHttp { server: String },
    #[error("the certificates cannot be used: {reason}")]
    Tls { reason: String },
    #[error("there is no token in {}; \"highwater agent enrol\" gets one", path.display())]
    NoToken { path: PathBuf },
    #[error("the server did not enrol this host: {reason}")]
    NotEnrolled { reason: String },
    #[error("{count} faults in the configuration")]
    Faulty { count: usize },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("entry {name} cannot be read, so it cannot be sent; \"highwater outbox drop\" removes it")]
    Unreadable { name: String },
}

impl AgentError {
    /// A file error, or [`AgentError::DiskFull`] when that is what it says.
    pub(crate) fn file(action: &'static str, path: &Path, error: std::io::Error) -> AgentError {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => AgentError::DiskFull { path: path.to_owned() },
            _ => AgentError::File { action, path: path.to_owned(), error },
        }
    }

    /// The exit code of a command that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            AgentError::Busy { .. } => Exit::LockBusy,
            AgentError::NoDirectory { .. }
            | AgentError::BadEpoch { .. }
            | AgentError::UnknownEntry { .. }
            | AgentError::NotRefused { .. }
            | AgentError::Unreadable { .. }
            | AgentError::BadConfig { .. }
            | AgentError::NoConfig { .. }
            | AgentError::UnknownGroup { .. }
            | AgentError::UnknownRepository { .. }
            | AgentError::Faulty { .. }
            | AgentError::NoServer { .. }
            | AgentError::PlainHttp { .. }
            | AgentError::Tls { .. }
            | AgentError::NoToken { .. }
            | AgentError::Settings(_)
            | AgentError::Graph(_) => Exit::Usage,
            AgentError::Archive(error) => match error {
                ArchiveError::Damaged { .. } => Exit::Drift,
                ArchiveError::File { .. } => Exit::Unexpected,
                ArchiveError::Exists { .. }
                | ArchiveError::Unknown { .. }
                | ArchiveError::OtherGroup { .. }
                | ArchiveError::InTheWay { .. } => Exit::Usage,
            },
            AgentError::File { .. }
            | AgentError::DiskFull { .. }
            | AgentError::OutboxFull { .. }
            | AgentError::Away { .. }
            | AgentError::Strange { .. }
            | AgentError::NotEnrolled { .. } => Exit::Unexpected,
        }
    }
}
