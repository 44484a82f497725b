//! The keeper's greeting: how a starter knows that the keeper which it found has not been killed.
//!
//! The keeper's lock does not tell: the kernel holds it on for a process that was sent SIGKILL until it has taken the
//! process apart, and the postmaster, which learns of the death last, takes connections all the while. An answer does,
//! for a killed process runs no further line of its own: who hears the greeting asked a keeper that lived after the
//! question, and so after the share of the lease was taken that keeps the server up.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, warn};

use super::location::Location;
use super::record::Record;

/// Longest wait for a greeting; a healthy keeper takes microseconds, one on an overloaded machine seconds.
const HEAR_LIMIT: Duration = Duration::from_secs(20);

/// Pause after a visitor could not be let in, for example for want of file descriptors.
const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// Begins to take visitors, whom [`greet`] answers; those who come in between wait.
///
/// The caller holds the keeper's lock: a socket that is there already is a dead keeper's.
///
/// # Errors
///
/// What the operating system says.
pub fn listen(location: &Location) -> io::Result<UnixListener> {
    let path = location.greeting();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Gives every visitor the record, and never ends. Once `listener` is closed, those who wait are turned away.
pub async fn greet(listener: &UnixListener, record: &Record) -> Infallible {
    let record = serde_json::to_vec(record).expect("a record is plain data");
    loop {
        match listener.accept().await {
            Ok((mut visitor, _)) => {
                // It fits into the socket's buffer, so a visitor who does not read holds up no one.
                if let Err(error) = visitor.write_all(&record).await {
                    debug!(%error, "a visitor did not wait for the greeting");
                }
            }
            Err(error) => {
                warn!(%error, "cannot let a visitor in");
                tokio::time::sleep(REFUSAL_PAUSE).await;
            }
        }
    }
}

/// The record of the keeper that lives and means to go on; none if there is no such keeper, or it does not answer.
pub async fn hear(location: &Location) -> Option<Record> {
    let heard = async {
        let mut visit = UnixStream::connect(location.greeting()).await?;
        let mut record = Vec::new();
        visit.read_to_end(&mut record).await?;
        Ok::<Record, io::Error>(serde_json::from_slice(&record)?)
    };
    match tokio::time::timeout(HEAR_LIMIT, heard).await {
        Ok(Ok(record)) => Some(record),
        Ok(Err(error)) => {
            debug!(%error, "no greeting");
            None
        }
        Err(_) => {
            debug!("no greeting within {HEAR_LIMIT:?}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn record(pid: i32) -> Record {
        Record { pid, version: "15.20".to_owned(), binaries: PathBuf::from("/usr/bin") }
    }

    #[tokio::test]
    async fn a_keeper_that_dies_before_it_answers_is_not_heard() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::at(directory.path().to_owned());
        assert!(hear(&location).await.is_none(), "no socket");
        let listener = listen(&location).unwrap();
        let mut hearing = std::pin::pin!(hear(&location));
        // The kernel lets the visitor in, the keeper does not answer any more.
        let early = tokio::time::timeout(Duration::from_millis(50), hearing.as_mut()).await;
        assert!(early.is_err(), "{early:?}");
        drop(listener);
        assert!(hearing.await.is_none(), "a closed socket");
        assert!(hear(&location).await.is_none(), "a dead keeper's socket");
        let listener = listen(&location).unwrap();
        let record = record(4711);
        tokio::select! {
            never = greet(&listener, &record) => match never {},
            heard = hear(&location) => assert_eq!(heard.unwrap().pid, 4711),
        }
    }
}
