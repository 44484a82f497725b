//! The lease: a shared lock that says "the server is needed".

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::EmbeddedError;
use super::location::Location;
use super::lock::{self, Mode};

/// Longest wait for a keeper that is just stopping the server: its own limits, and some room.
const LEASE_LIMIT: Duration = Duration::from_secs(60);

/// Takes a share of the lease. It lasts until the returned file and its copies are closed, at the latest with the
/// process.
///
/// # Errors
///
/// [`EmbeddedError::LockHeld`] when a keeper that is stopping does not come to an end.
pub async fn take(location: &Location) -> Result<File, EmbeddedError> {
    let path = location.lease();
    let file =
        lock::hold(&path, Mode::Shared, "the keeper to finish stopping the server", LEASE_LIMIT).await?;
    // For `unused`: someone was here.
    file.set_modified(SystemTime::now()).map_err(|source| EmbeddedError::File {
        action: "touch",
        path,
        source,
    })?;
    Ok(file)
}

/// Waits until no one has held the lease for `grace`, and returns it locked exclusively: whoever wants a share now
/// waits until the returned file is closed.
///
/// # Errors
///
/// What the operating system says about the file.
pub async fn unused(path: &Path, grace: Duration) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).open(path)?;
    loop {
        file = lock::wait(file, Mode::Exclusive).await?;
        let last_taken = file.metadata()?.modified()?;
        file.unlock()?;
        tokio::time::sleep(grace).await;
        match file.try_lock() {
            Ok(()) if file.metadata()?.modified()? == last_taken => return Ok(file),
            // Someone came and went meanwhile: the grace period begins again.
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_visit_within_the_grace_period_begins_it_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lease");
        let visitor = lock::open(&path).unwrap();
        let grace = Duration::from_secs(1);
        let mut waiting = std::pin::pin!(unused(&path, grace));
        // Polled once, it has seen the lease free and sleeps; it goes on when it is polled again, however late.
        tokio::time::timeout(Duration::ZERO, waiting.as_mut()).await.unwrap_err();
        let visited_at = tokio::time::Instant::now();
        visitor.try_lock_shared().unwrap();
        visitor.set_modified(SystemTime::now() + grace).unwrap();
        visitor.unlock().unwrap();
        waiting.await.unwrap();
        assert!(visited_at.elapsed() >= grace, "{:?}", visited_at.elapsed());
    }
}
