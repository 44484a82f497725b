//! Opening connections. Every one carries `application_name=highwater/<subcommand>`, unless another name is given, and
//! speaks UTC.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Config;
use tracing::warn;

use super::dial::{self, Call, Dialled, Failure};
use super::target::Target;
use super::{DbError, Executor, Session};

/// Pauses between looks at a server that is not up yet: they double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
    let dialled = reach(target, &config, heard)
        .await
        .map_err(|failure| DbError::Connect { target: target.to_string(), reason: failure.to_string() })?;
    let session = Session::dedicated(dialled.client, target.tls().connector());
    session.batch(SESSION_SETTINGS).await?;
    Ok(session)
}

/// Dials, again and again while the target's time for servers that are not up yet lasts. Channels of notifications go to
/// `heard`.
pub(super) async fn reach(
    target: &Target,
    config: &Config,
    heard: Option<mpsc::UnboundedSender<String>>,
) -> Result<Dialled, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let failure = match dial::dial(&Call { target, config, heard: heard.clone() }).await {
            Ok(dialled) => return Ok(dialled),
            Err(failure) => failure,
        };
        let next = Instant::now() + pause;
        match target.waits_until() {
            Some(end) if failure.is_transient() && next < end => {
                if pause == FIRST_PAUSE {
                    warn!(error = %failure, "waiting for {target}: {failure}");
                }
                sleep_until(next).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            _ => return Err(failure),
        }
    }
}

/// The target's configuration with what every connection of ours carries.
pub(super) fn prepared(config: &Config, subcommand: &str) -> Config {
    let mut config = config.clone();
    if config.get_application_name().is_none() {
        config.application_name(format!("highwater/{subcommand}"));
    }
    config.tcp_user_timeout(TCP_USER_TIMEOUT);
    config.keepalives_idle(KEEPALIVE_IDLE);
    config.keepalives_interval(KEEPALIVE_INTERVAL);
    config.keepalives_retries(KEEPALIVE_RETRIES);
    config
}
