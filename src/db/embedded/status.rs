//! Looking at the server, and stopping it, without needing it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::time::Instant;

use super::EmbeddedError;
use super::address::Address;
use super::location::Location;
use super::lock;
use super::record::Record;

/// Longest wait for the end of a server that was asked to stop: the keeper's own limits, and some room.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Longest wait for a keeper to be seen behind a held lock. It has none for the moments in which the kernel takes a
/// keeper apart, and in which a new one has not written its record; and for as long as the keeper lives in another
/// container, where it cannot be seen.
const UNSEEN_LIMIT: Duration = Duration::from_secs(10);

/// Pause between two looks at a server that is coming or going.
const PAUSE: Duration = Duration::from_millis(10);

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

/// What one look sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// A keeper lives, and this is its process id.
    Keeper(i32),
    /// The keeper's lock is held, but no keeper is to be seen, see [`UNSEEN_LIMIT`].
    Unseen,
    /// No keeper holds its lock, but processes of the cluster live.
    Orphans,
    Nothing,
}

/// Looks at the server in `directory`, else in the usual place; starts nothing and makes nothing. Waits a moment for a
/// keeper that is just ending to be gone.
///
/// # Errors
///
/// [`EmbeddedError::NoHome`], or [`EmbeddedError::File`] for a directory that belongs to someone else.
pub async fn status(directory: Option<&Path>) -> Result<Status, EmbeddedError> {
    let location = Location::existing(directory)?;
    let begun = Instant::now();
    let sight = loop {
        match look(&location)? {
            Sight::Unseen if begun.elapsed() < UNSEEN_LIMIT => tokio::time::sleep(PAUSE).await,
            sight => break sight,
        }
    };
    let state = match sight {
        Sight::Keeper(_) | Sight::Unseen => State::Running,
        Sight::Orphans => State::Ending,
        Sight::Nothing => State::Stopped,
    };
    let running_version = Record::read(&location).filter(|_| state == State::Running).map(|it| it.version);
    let major = || location.major().map(|major| major.to_string());
    Ok(Status {
        state,
        version: running_version.or_else(major),
        directory: location.root().to_owned(),
        socket_directory: location.socket(),
        log: location.log(),
        postmaster_pid: location.postmaster_pid().filter(|_| state != State::Stopped),
        keeper_pid: if let Sight::Keeper(pid) = sight { Some(pid) } else { None },
        lease_holders: holders(&location, state),
        address: Address::of(&location),
    })
}

fn look(location: &Location) -> Result<Sight, EmbeddedError> {
    if !location.keeper().exists() {
        return Ok(Sight::Nothing);
    }
    if !lock::is_held(&location.keeper())? {
        if !lock::is_held(&location.cluster())? {
            return Ok(Sight::Nothing);
        }
        // Between the two looks a new keeper may have come.
        if !lock::is_held(&location.keeper())? {
            return Ok(Sight::Orphans);
        }
    }
    let pid = Record::read(location).map(|record| record.pid).filter(|pid| is_keeper(*pid, location));
    Ok(pid.map_or(Sight::Unseen, Sight::Keeper))
}

/// Stops the server and waits until its last process is gone; those who use it lose their connections. A server that
/// is started by someone else meanwhile is left alone.
///
/// Returns what was found, [`State::Stopped`] if there was nothing to do.
///
/// # Errors
///
/// [`EmbeddedError::NotAccepting`] when the keeper cannot be signalled, [`EmbeddedError::LockHeld`] when the server
/// does not end.
pub async fn stop(directory: Option<&Path>) -> Result<Status, EmbeddedError> {
    let found = status(directory).await?;
    let location = Location::existing(directory)?;
    let refused = |reason| EmbeddedError::NotAccepting { directory: location.root().to_owned(), reason };
    let begun = Instant::now();
    let mut asked = None;
    if found.state == State::Stopped {
        return Ok(found);
    }
    loop {
        let late = begun.elapsed() >= STOP_LIMIT;
        let held = |what, path| EmbeddedError::LockHeld { what, path, waited: STOP_LIMIT };
        match look(&location)? {
            Sight::Nothing => return Ok(found),
            Sight::Keeper(pid) if asked.is_none() => {
                match kill(Pid::from_raw(pid), Signal::SIGTERM) {
                    // It was faster.
                    Ok(()) | Err(Errno::ESRCH) => asked = Some(pid),
                    Err(error) => {
                        return Err(refused(format!("cannot signal its keeper, process {pid}: {error}")));
                    }
                }
            }
            Sight::Keeper(pid) if asked != Some(pid) => return Ok(found),
            Sight::Unseen if asked.is_none() && begun.elapsed() >= UNSEEN_LIMIT => {
                return Err(refused("its keeper is not to be found on this machine".to_owned()));
            }
            Sight::Keeper(_) | Sight::Unseen if late => {
                return Err(held("the keeper to end", location.keeper()));
            }
            Sight::Orphans if late => {
                return Err(held("the server's last process to end", location.cluster()));
            }
            Sight::Keeper(_) | Sight::Unseen | Sight::Orphans => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
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
