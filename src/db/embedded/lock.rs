//! Locks between processes: `flock` on files that are never removed.
//!
//! | file | held exclusively by | while |
//! | --- | --- | --- |
//! | `lease` | the keeper | it stops an unused server (users hold it shared) |
//! | `start` | a starter, then its keeper | the server comes up |
//! | `keeper` | the keeper | it lives |
//! | `cluster` | the keeper and every process of the cluster | any of them lives |
//!
//! A lock belongs to an open file, not to a process: who inherits the file shares the lock, and the kernel releases
//! it with the last copy. That is how `start` passes to the keeper, and how `cluster` outlives a killed keeper until
//! the last backend is gone. So these locks are let go by closing, never by `unlock`, which would end them for all.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;

use super::EmbeddedError;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Shared,
    Exclusive,
}

/// Opens a lock's file, and makes it if it is missing; takes no lock.
///
/// # Errors
///
/// [`EmbeddedError::File`].
pub fn open(path: &Path) -> Result<File, EmbeddedError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| EmbeddedError::File { action: "open", path: path.to_owned(), source })
}

/// Whether someone holds the lock exclusively; unlike [`hold`] this neither waits nor keeps anything.
///
/// # Errors
///
/// [`EmbeddedError::File`].
pub fn is_held(path: &Path) -> Result<bool, EmbeddedError> {
    match open(path)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => {
            Err(EmbeddedError::File { action: "lock", path: path.to_owned(), source })
        }
    }
}

/// Waits for the lock, up to `limit`; it is held until every copy of the returned file is closed.
///
/// # Errors
///
/// [`EmbeddedError::LockHeld`] after `limit`, in which `what` says what was waited for; [`EmbeddedError::File`].
pub async fn hold(
    path: &Path,
    mode: Mode,
    what: &'static str,
    limit: Duration,
) -> Result<File, EmbeddedError> {
    let file = open(path)?;
    match tokio::time::timeout(limit, wait(file, mode)).await {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(source)) => Err(EmbeddedError::File { action: "lock", path: path.to_owned(), source }),
        Err(_) => Err(EmbeddedError::LockHeld { what, path: path.to_owned(), waited: limit }),
    }
}

/// Waits for the lock on `file`, as long as it takes. Dropping the future gives up: a lock that comes later is
/// released at once.
///
/// # Errors
///
/// What the operating system says.
pub async fn wait(file: File, mode: Mode) -> std::io::Result<File> {
    let tried = match mode {
        Mode::Shared => file.try_lock_shared(),
        Mode::Exclusive => file.try_lock(),
    };
    match tried {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let (sender, receiver) = oneshot::channel();
    // A thread of its own rather than the runtime's blocking pool: the end of a runtime waits for that pool, and this
    // may never end.
    std::thread::Builder::new().name("flock".to_owned()).spawn(move || {
        let locked = match mode {
            Mode::Shared => file.lock_shared(),
            Mode::Exclusive => file.lock(),
        };
        // Without a receiver the file is closed here, and the lock with it.
        let _ = sender.send(locked.map(|()| file));
    })?;
    receiver.await.map_err(|_| std::io::Error::other("the waiting thread ended"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_lock_passes_on_when_its_last_copy_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = hold(&path, Mode::Exclusive, "the first", LATE).await.unwrap();
        let copy = first.try_clone().unwrap();
        drop(first);
        assert!(is_held(&path).unwrap());
        let refused = hold(&path, Mode::Shared, "the copy", SOON).await.unwrap_err();
        assert!(matches!(refused, EmbeddedError::LockHeld { what: "the copy", .. }), "{refused}");
        let waiter = tokio::spawn(async move { hold(&path, Mode::Shared, "the copy", LATE).await });
        drop(copy);
        waiter.await.unwrap().unwrap();
    }
}
