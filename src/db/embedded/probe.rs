//! Asking a server whether it takes connections.

use std::io::ErrorKind;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::DATABASE;
use super::address::Address;
use crate::db::error::innermost;

/// Longest wait for an answer; a healthy server takes milliseconds, a swapping one seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Database that exists in every cluster.
const MAINTENANCE_DATABASE: &str = "postgres";

const CREATE_DATABASE: &str = include_str!("../../../sql/embedded/create_database.sql");

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes connections, and highwater's database exists.
    Accepting,
    /// It is starting, recovering or shutting down, or hung up on us for one of these: ask again.
    NotNow(String),
    /// No one listens on the socket.
    NoOne,
    /// It listens, and refuses for a reason that does not pass.
    Refused(String),
}

/// Connects to highwater's database, and makes it if it is missing.
pub async fn ask(address: &Address) -> Answer {
    match tokio::time::timeout(ANSWER_LIMIT, ask_database(address)).await {
        Ok(Ok(())) => Answer::Accepting,
        Ok(Err(error)) => sort(&error),
        Err(_) => Answer::Refused(format!("no answer within {ANSWER_LIMIT:?}")),
    }
}

async fn ask_database(address: &Address) -> Result<(), tokio_postgres::Error> {
    match with_client(address, DATABASE, async |_| Ok(())).await {
        Err(error) if error.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {}
        result => return result,
    }
    let made = with_client(address, MAINTENANCE_DATABASE, async |client| {
        client.batch_execute(CREATE_DATABASE).await
    })
    .await;
    match made {
        // Another process was faster; which of the two errors it is depends on how much.
        Err(error)
            if [Some(&SqlState::DUPLICATE_DATABASE), Some(&SqlState::UNIQUE_VIOLATION)]
                .contains(&error.code()) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Runs `work` on a connection that is closed properly afterwards, so that the server's log stays free of it.
async fn with_client(
    address: &Address,
    database: &str,
    work: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>,
) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = address.config(database).connect(NoTls).await?;
    let work = async move { work(&client).await };
    let (result, _) = tokio::join!(work, connection);
    result
}

fn sort(error: &tokio_postgres::Error) -> Answer {
    /// What a session is told that was let in and then cut off, at a shutdown, a crash or a drop of its database.
    const PASSING: [&SqlState; 4] = [
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::DATABASE_DROPPED,
    ];
    let reason = innermost(error);
    match error.code() {
        Some(code) if PASSING.contains(&code) => Answer::NotNow(reason),
        // Full is up.
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => Answer::Accepting,
        Some(_) => Answer::Refused(reason),
        None if is_unanswered(error) => Answer::NoOne,
        // It hung up without a word, as it does in a crash on those who have not logged in yet: the postmaster lives,
        // or the next question finds it gone.
        None => Answer::NotNow(reason),
    }
}

/// Whether the socket is not there, or no one listens on it.
fn is_unanswered(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        }
        source = cause.source();
    }
    false
}
