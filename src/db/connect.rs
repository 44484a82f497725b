//! Opening connections. Every one carries `application_name=highwater/<subcommand>` and speaks UTC.

use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Config, NoTls};
use tracing::debug;

use super::error::innermost;
use super::target::Target;
use super::{DbError, Executor, Session};

/// Longest wait for one connection to be made, unless the URL gives `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Unacknowledged data breaks a TCP connection after this long, so that a dead peer's locks do not stay.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);

/// While an answer is awaited nothing is sent, so that only probes notice a server that is gone: within half a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// Settings of every session, whatever the role or the database has as defaults: a fill takes as long as it takes, and
/// what it computes must be read by a snapshot of its own, and from every row: where row-level security would hide some,
/// Postgres raises an error instead. The interval lets the server notice within a second that its
/// client was killed. Settings that a version or a platform lacks are left out by the look at pg_settings.
pub(super) const SESSION_SETTINGS: &str = "SET TimeZone = 'UTC'; SET client_min_messages = 'warning'; SET row_security = off; \
     SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
     SELECT set_config(name, CASE name WHEN 'client_connection_check_interval' THEN '1s' ELSE '0' END, false) \
       FROM pg_catalog.pg_settings \
      WHERE name IN ('client_connection_check_interval', 'statement_timeout', 'lock_timeout', 'transaction_timeout', \
                     'idle_session_timeout', 'idle_in_transaction_session_timeout')";

/// Opens a dedicated connection, for locks and for work that must not share its session.
///
/// # Errors
///
/// [`DbError::Connect`] with the server's or the operating system's reason; the password is never part of it.
pub async fn connect(target: &Target, subcommand: &str) -> Result<Session, DbError> {
    open(target, prepared(target.config(), subcommand), None).await
}

/// Like [`connect`], with the channels of the notifications that arrive, once `LISTEN` ran on the session. The receiver
/// ends with the connection.
///
/// # Errors
///
/// As [`connect`].
pub(super) async fn connect_to_listen(
    target: &Target,
    subcommand: &str,
) -> Result<(Session, mpsc::UnboundedReceiver<String>), DbError> {
    let (heard, receiver) = mpsc::unbounded_channel();
    Ok((open(target, prepared(target.config(), subcommand), Some(heard)).await?, receiver))
}

/// Like [`connect`], with server settings (`-c name=value`) in the start-up packet, after those of the URL.
///
/// # Errors
///
/// As [`connect`]; a pooler that does not pass settings on refuses with "unsupported startup parameter".
pub async fn connect_with_options(
    target: &Target,
    subcommand: &str,
    options: &str,
) -> Result<Session, DbError> {
    let mut config = prepared(target.config(), subcommand);
    let given = config.get_options().map(|given| format!("{given} ")).unwrap_or_default();
    config.options(format!("{given}{options}"));
    open(target, config, None).await
}

/// Brings a session, or the rest of a transaction, back to the settings and the role it was opened with, whatever
/// statements of others ran on it.
///
/// # Errors
///
/// What the server says.
pub async fn restore(session: &impl Executor) -> Result<(), DbError> {
    // RESET ALL passes the role over; RESET ROLE goes back to the one of the connection's start.
    session.batch("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL").await?;
    session.batch(SESSION_SETTINGS).await
}

async fn open(
    target: &Target,
    config: Config,
    heard: Option<mpsc::UnboundedSender<String>>,
) -> Result<Session, DbError> {
    let refused = |error: &(dyn std::error::Error + 'static)| DbError::Connect {
        target: target.to_string(),
        reason: innermost(error),
    };
    let (client, mut connection) = config.connect(NoTls).await.map_err(|error| refused(&error))?;
    tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match (message, &heard) {
                // Nobody listens any more: the session is being closed.
                (Ok(AsyncMessage::Notification(note)), Some(heard)) => {
                    let _ = heard.send(note.channel().to_owned());
                }
                (Ok(_), _) => {}
                (Err(error), _) => {
                    debug!(error = %innermost(&error), "a connection ended with an error");
                    return;
                }
            }
        }
    });
    let session = Session::dedicated(client);
    session.batch(SESSION_SETTINGS).await?;
    Ok(session)
}

/// The target's configuration with what every connection of ours carries.
pub(super) fn prepared(config: &Config, subcommand: &str) -> Config {
    let mut config = config.clone();
    config.application_name(format!("highwater/{subcommand}"));
    config.tcp_user_timeout(TCP_USER_TIMEOUT);
    config.keepalives_idle(KEEPALIVE_IDLE);
    config.keepalives_interval(KEEPALIVE_INTERVAL);
    config.keepalives_retries(KEEPALIVE_RETRIES);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config
}
