//! Looking at the server, and stopping it, without needing it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

use super::EmbeddedError;
use super::address::Address;
use super::location::Location;
use super::lock::{self, Mode};
use super::record::Record;

/// Longest wait for the end of a server that was asked to stop: the keeper's own limits, and some room.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What the embedded server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its keeper lives; it may just be starting or stopping.
    Running,
    /// Its keeper was killed, and it is shutting down.
    Ending,
    Stopped,
}

/// The embedded server as seen from outside.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub state: State,
    /// Full if it runs, else the major version of its data; none if there is no data.
    pub version: Option<String>,
    pub directory: PathBuf,
    pub socket_directory: PathBuf,
    pub log: PathBuf,
    pub postmaster_pid: Option<i32>,
    pub keeper_pid: Option<i32>,
    /// How many processes hold the lease; none where the kernel does not tell.
    pub lease_holders: Option<usize>,
    #[serde(skip)]
    pub address: Address,
}

/// Looks at the server in `directory`, else in the usual place; starts nothing and makes nothing.
///
/// # Errors
///
/// [`EmbeddedError::NoHome`], or [`EmbeddedError::File`] for a directory that belongs to someone else.
pub fn status(directory: Option<&Path>) -> Result<Status, EmbeddedError> {
    let location = Location::existing(directory)?;
    let state = if !location.keeper().exists() {
        State::Stopped
    } else if lock::is_held(&location.keeper())? {
        State::Running
    } else if lock::is_held(&location.cluster())? {
        State::Ending
    } else {
        State::Stopped
    };
    let record = Record::read(&location).filter(|_| state == State::Running);
    let major = || location.major().map(|major| major.to_string());
    Ok(Status {
        state,
        version: record.as_ref().map(|record| record.version.clone()).or_else(major),
        directory: location.root().to_owned(),
        socket_directory: location.socket(),
        log: location.log(),
        postmaster_pid: location.postmaster_pid().filter(|_| state != State::Stopped),
        keeper_pid: record.map(|record| record.pid),
        lease_holders: holders(&location, state),
        address: Address::of(&location),
    })
}

/// Stops the server and waits until its last process is gone; those who use it lose their connections.
///
/// Returns what was found, [`State::Stopped`] if there was nothing to do.
///
/// # Errors
///
/// [`EmbeddedError::NotAccepting`] when the keeper cannot be signalled, [`EmbeddedError::LockHeld`] when the server
/// does not end.
pub async fn stop(directory: Option<&Path>) -> Result<Status, EmbeddedError> {
    let found = status(directory)?;
    if found.state == State::Stopped {
        return Ok(found);
    }
    let location = Location::existing(directory)?;
    if found.state == State::Running {
        let refused = |reason| EmbeddedError::NotAccepting { directory: found.directory.clone(), reason };
        let pid = found
            .keeper_pid
            .filter(|pid| is_keeper(*pid, &location))
            .ok_or_else(|| refused("its keeper is not to be found; try again".to_owned()))?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .map_err(|error| refused(format!("cannot signal its keeper, process {pid}: {error}")))?;
    }
    lock::hold(&location.keeper(), Mode::Shared, "the keeper to end", STOP_LIMIT).await?;
    lock::hold(&location.cluster(), Mode::Shared, "the server's last process to end", STOP_LIMIT).await?;
    Ok(found)
}

/// Whether process `pid` is this location's keeper. Its record is rewritten a moment after its lock is taken, and in
/// that moment names the keeper before it, whose id may belong to anyone by now.
fn is_keeper(pid: i32, location: &Location) -> bool {
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Record::is_command_line(&String::from_utf8_lossy(&command_line), location)
}

/// Counts the shared locks on the lease. Where /proc/locks does not even show the keeper's lock (a container without
/// the host's process ids, a layered file system) the number is unknown.
fn holders(location: &Location, state: State) -> Option<usize> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let count = |path: PathBuf, kind: &str| {
        let meta = path.metadata().ok()?;
        let (major, minor) = (nix::sys::stat::major(meta.dev()), nix::sys::stat::minor(meta.dev()));
        let file = format!("{major:02x}:{minor:02x}:{}", meta.ino());
        let is_held = |line: &&str| {
            // 12: FLOCK  ADVISORY  READ 4711 fe:00:1234 0 EOF; a waiter has an arrow in second place.
            let mut fields = line.split_whitespace().skip(1);
            fields.next() == Some("FLOCK")
                && fields.nth(1) == Some(kind)
                && fields.nth(1) == Some(file.as_str())
        };
        Some(locks.lines().filter(is_held).count())
    };
    if state == State::Running && count(location.keeper(), "WRITE")? == 0 {
        return None;
    }
    count(location.lease(), "READ").or(Some(0))
}
