//! Why the embedded server cannot be had. Every message carries its remedy.

use std::path::PathBuf;
use std::time::Duration;

/// An error of the embedded server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No directory with `postgres` and `initdb` of a version that highwater supports.
    #[error(
        "no usable PostgreSQL server binaries found (looked at: {looked_at}); install them \
         (apt-get install postgresql), or set HIGHWATER_PG_BIN to the directory that holds \"postgres\" and \
         \"initdb\", or name a database with --database-url"
    )]
    NoBinaries { looked_at: String },
    /// `HIGHWATER_PG_BIN` is set to something that cannot be used; nothing else was looked at.
    #[error("HIGHWATER_PG_BIN={directory}: {reason}; correct it, or unset it to search the usual places")]
    BadBinaries { directory: PathBuf, reason: String },
    /// The data directory was made by a major version of which no binaries were found.
    #[error(
        "{data} was made by PostgreSQL {major}, whose binaries were not found (looked at: {looked_at}); install \
         that version, or set HIGHWATER_PG_BIN, or use another directory with HIGHWATER_PG_DIR"
    )]
    OtherMajor { data: PathBuf, major: u32, looked_at: String },
    /// The user has no entry in the user database, without which `initdb` refuses to run.
    #[error(
        "user id {uid} has no user name, which PostgreSQL requires; add it to /etc/passwd or run as another user"
    )]
    NoAccount { uid: u32 },
    /// Neither `HOME` nor the user database names a home directory.
    #[error(
        "no home directory to keep the embedded server in; set HIGHWATER_PG_DIR to a directory of your own"
    )]
    NoHome,
    /// As root the server runs as another user, who cannot get to the directory.
    #[error(
        "the embedded server runs as user \"{account}\", who may not pass through {blocked_at} to reach {path}; \
         choose another directory with HIGHWATER_PG_DIR (such as /var/lib/highwater/dev), or run chmod o+x {blocked_at}"
    )]
    Untraversable { path: PathBuf, blocked_at: PathBuf, account: String },
    /// Someone else owns the directory or may write to it.
    #[error(
        "{path} cannot be trusted: {reason}; remove it, or choose another directory with HIGHWATER_PG_DIR"
    )]
    Untrusted { path: PathBuf, reason: String },
    /// A Unix socket's path has room for 107 bytes.
    #[error(
        "the socket's path {path} has {length_bytes} bytes, the operating system allows 107; choose a shorter \
         directory with HIGHWATER_PG_DIR"
    )]
    SocketPathTooLong { path: PathBuf, length_bytes: usize },
    /// The operating system refused something.
    #[error("cannot {action} {path}: {source}; HIGHWATER_PG_DIR names another directory")]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    /// A lock that is held for moments only was not to be had.
    #[error(
        "waited {waited:?} for {what} ({path}); see what runs with \"highwater postgres status\", end it with \
         \"highwater postgres stop\""
    )]
    LockHeld { what: &'static str, path: PathBuf, waited: Duration },
    /// The keeper's program could not be started.
    #[error("cannot start the keeper of the embedded server, {program}: {source}")]
    NoKeeper { program: PathBuf, source: std::io::Error },
    /// The keeper failed before there was a server.
    #[error("the embedded server could not be prepared: {reason}; its log is {log}{}", shown(tail))]
    NotPrepared { reason: String, log: PathBuf, tail: String },
    /// The postmaster did not come up.
    #[error("the embedded server did not start: {reason}; its log is {log}{}", shown(tail))]
    NotStarted { reason: String, log: PathBuf, tail: String },
    /// The server runs, but does not let us in.
    #[error(
        "the embedded server in {directory} runs but refuses connections: {reason}; \"highwater postgres stop\" ends it"
    )]
    NotAccepting { directory: PathBuf, reason: String },
}

/// The end of a log, set off from the sentence before it.
fn shown(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!(", which ends:\n{tail}") }
}
