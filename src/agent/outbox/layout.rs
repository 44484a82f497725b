//! The directories of an agent, and the lock that lets one process use them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::super::AgentError;

/// Only the agent's user may look: bodies hold names of files and the words of programs.
const DIRECTORY_MODE: u32 = 0o700;

/// As [`DIRECTORY_MODE`].
pub const FILE_MODE: u32 = 0o600;

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Being written; nothing here was acknowledged.
    Tmp,
    /// Waits to be sent.
    New,
    /// The server holds another version.
    Conflict,
    /// Refused for good, or unreadable.
    Dead,
}

impl Place {
    pub const ALL: [Place; 4] = [Place::Tmp, Place::New, Place::Conflict, Place::Dead];

    /// Its directory's name.
    pub fn word(self) -> &'static str {
        match self {
            Place::Tmp => "tmp",
            Place::New => "new",
            Place::Conflict => "conflict",
            Place::Dead => "dead",
        }
    }
}

/// The paths below an agent's directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes what is missing, durably.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn create(root: &Path) -> Result<Layout, AgentError> {
        let layout = Layout { root: root.to_owned() };
        make_directory(root)?;
        for place in Place::ALL {
            make_directory(&layout.directory(place))?;
        }
        sync_directory(root)?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_directory(parent)?;
        }
        Ok(layout)
    }

    /// The paths of an agent that has run here before.
    ///
    /// # Errors
    ///
    /// [`AgentError::NoDirectory`].
    pub fn existing(root: &Path) -> Result<Layout, AgentError> {
        let layout = Layout { root: root.to_owned() };
        if layout.directory(Place::New).is_dir() {
            Ok(layout)
        } else {
            Err(AgentError::NoDirectory { path: root.to_owned() })
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn directory(&self, place: Place) -> PathBuf {
        self.root.join(place.word())
    }

    /// Names of the files in a place, sorted; for entries that is the order in which they were made.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn names(&self, place: Place) -> Result<Vec<String>, AgentError> {
        let directory = self.directory(place);
        let read = |error| AgentError::file("read", &directory, error);
        let mut names = Vec::new();
        for found in std::fs::read_dir(&directory).map_err(read)? {
            // A name that is no text was not ours; it is seen as its lossy form and moved by its path.
            names.push(found.map_err(read)?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Takes the directory for this process, until the lock is dropped or the process is gone.
    ///
    /// # Errors
    ///
    /// [`AgentError::Busy`] with the process that holds it.
    pub fn lock(&self) -> Result<Flock<File>, AgentError> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(|error| AgentError::file("open", &path, error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                // For people; the lock itself is the kernel's.
                let written = lock.set_len(0).and_then(|()| lock.rewind());
                written
                    .and_then(|()| writeln!(lock, "{}", std::process::id()))
                    .map_err(|error| AgentError::file("write", &path, error))?;
                Ok(lock)
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                Err(AgentError::Busy { path: self.root.clone(), holder: holder.trim().to_owned() })
            }
            Err((_, errno)) => Err(AgentError::file("lock", &path, errno.into())),
        }
    }

    /// Whether a process holds the directory, and which.
    pub fn holder(&self) -> Option<String> {
        match self.lock() {
            Err(AgentError::Busy { holder, .. }) => Some(holder),
            _ => None,
        }
    }
}

/// Makes a directory that only the agent's user may look into.
///
/// # Errors
///
/// [`AgentError::File`].
pub fn make_directory(path: &Path) -> Result<(), AgentError> {
    let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path);
    made.map_err(|error| AgentError::file("make", path, error))?;
    // The mode at creation is cut by the umask, and an old directory may have another.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(DIRECTORY_MODE))
        .map_err(|error| AgentError::file("protect", path, error))
}

/// Makes renames and new names in a directory durable.
///
/// # Errors
///
/// [`AgentError::File`].
pub fn sync_directory(path: &Path) -> Result<(), AgentError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| AgentError::file("sync", path, error))
}
