//! Reaching a server as libpq does: hosts in turn, on each the ways that sslmode allows, until a session is found that
//! will do. A refused password ends the search: the other hosts would refuse it too.

use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, SimpleQueryMessage, Socket};
use tracing::debug;

use super::attrs::{Found, Wanted};
use super::endpoint::{Endpoint, Place};
use super::error::innermost;
use super::target::Target;

/// Class of SQLSTATEs for a login that is refused.
const AUTHORIZATION: &str = "28";

/// Why no session was had.
#[derive(Debug)]
pub enum Failure {
    /// The driver's or the server's error.
    Driver(tokio_postgres::Error),
    /// Nothing came in time.
    TimedOut(Duration),
    /// The name could not be looked up.
    Lookup(std::io::Error),
    /// A session was had, and was not of the kind that was asked for.
    Objection(&'static str),
}

impl Failure {
    /// Whether it may go by itself: a server that is not up, not yet, or full.
    pub fn is_transient(&self) -> bool {
        match self {
            Failure::TimedOut(_) | Failure::Lookup(_) | Failure::Objection(_) => true,
            Failure::Driver(error) => match error.code() {
                Some(code) => {
                    *code == SqlState::CANNOT_CONNECT_NOW
                        || *code == SqlState::TOO_MANY_CONNECTIONS
                        || *code == SqlState::ADMIN_SHUTDOWN
                        || *code == SqlState::CRASH_SHUTDOWN
                        || code.code().starts_with("08")
                }
                None => {
                    error.is_closed()
                        // A certificate that is refused arrives as an error of the stream; it stays refused.
                        || (!is_tls(error) && cause::<std::io::Error>(error).is_some())
                }
            },
        }
    }

    /// Whether the same server may answer otherwise with encryption, or without: it refused this kind of connection, or
    /// the encryption failed.
    fn may_depend_on_tls(&self) -> bool {
        match self {
            Failure::Driver(error) => match error.code() {
                Some(code) => code.code().starts_with(AUTHORIZATION),
                None => is_tls(error),
            },
            Failure::TimedOut(_) | Failure::Lookup(_) | Failure::Objection(_) => false,
        }
    }

    /// Whether other hosts are worth a try.
    fn goes_on(&self) -> bool {
        match self {
            Failure::Driver(error) => error.code().is_none_or(|code| {
                *code == SqlState::CANNOT_CONNECT_NOW || *code == SqlState::TOO_MANY_CONNECTIONS
            }),
            Failure::TimedOut(_) | Failure::Lookup(_) | Failure::Objection(_) => true,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Driver(error) => write!(formatter, "{}", innermost(error)),
            Failure::TimedOut(after) => write!(formatter, "no answer within {after:?}"),
            Failure::Lookup(error) => write!(formatter, "cannot look up the host: {error}"),
            Failure::Objection(objection) => write!(formatter, "{objection} (target_session_attrs)"),
        }
    }
}

/// Whether the encryption itself failed.
fn is_tls(error: &tokio_postgres::Error) -> bool {
    cause::<std::io::Error>(error)
        .is_some_and(|error| error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()))
}

/// A session, and the task that its connection runs in until it ends.
pub struct Dialled {
    pub client: Client,
    pub task: JoinHandle<()>,
}

/// The first cause of type `T` in an error's chain.
fn cause<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What is dialled for.
pub struct Call<'a> {
    pub target: &'a Target,
    pub config: &'a Config,
    /// Where the channels of notifications go, if anybody listens.
    pub heard: Option<mpsc::UnboundedSender<String>>,
}

/// Opens a session with one of the target's servers.
///
/// # Errors
///
/// The failure of the last server that was tried.
pub async fn dial(call: &Call<'_>) -> Result<Dialled, Failure> {
    let target = call.target;
    let mut endpoints: Vec<&Endpoint> = target.endpoints().iter().collect();
    if target.is_balanced() {
        let chance = RandomState::new();
        endpoints.sort_by_key(|endpoint| chance.hash_one(endpoint.to_string()));
    }
    match search(call, &endpoints, target.wanted()).await {
        Err(Failure::Objection(_)) if target.wanted() == Wanted::PreferStandby => {
            search(call, &endpoints, Wanted::Any).await
        }
        other => other,
    }
}

async fn search(call: &Call<'_>, endpoints: &[&Endpoint], wanted: Wanted) -> Result<Dialled, Failure> {
    let mut last = Failure::Lookup(std::io::Error::other("there is no host"));
    for endpoint in endpoints {
        match one_endpoint(call, endpoint, wanted).await {
            Ok(dialled) => return Ok(dialled),
            Err(failure) => {
                debug!(error = %failure, "cannot connect to {endpoint}: {failure}");
                let goes_on = failure.goes_on();
                // What keeps every server from doing says more than that the last one was not there.
                if !matches!(last, Failure::Objection(_)) || matches!(failure, Failure::Driver(_)) {
                    last = failure;
                }
                if !goes_on {
                    break;
                }
            }
        }
    }
    Err(last)
}

/// Tries each address of a host, on each the ways that sslmode allows.
async fn one_endpoint(call: &Call<'_>, endpoint: &Endpoint, wanted: Wanted) -> Result<Dialled, Failure> {
    let target = call.target;
    let mut last = Failure::Lookup(std::io::Error::other("the name has no address"));
    for config in addressed(call.config, endpoint).await? {
        for mode in target.tls().attempts(endpoint.is_unix_socket()) {
            let mut config = config.clone();
            config.ssl_mode(*mode);
            if *mode == SslMode::Require {
                config.ssl_negotiation(target.tls().negotiation());
            }
            if let Some(password) = target.password(endpoint) {
                config.password(password);
            }
            match attempt(call, &config, wanted).await {
                Ok(dialled) => return Ok(dialled),
                Err(failure) => {
                    let ends_here = !failure.may_depend_on_tls();
                    last = failure;
                    if ends_here {
                        break;
                    }
                }
            }
        }
        if !last.goes_on() {
            break;
        }
    }
    Err(last)
}

/// A configuration for each address of the endpoint.
async fn addressed(config: &Config, endpoint: &Endpoint) -> Result<Vec<Config>, Failure> {
    let at = |set: &dyn Fn(&mut Config)| {
        let mut config = config.clone();
        config.port(endpoint.port);
        set(&mut config);
        config
    };
    match &endpoint.place {
        Place::Unix(folder) => Ok(vec![at(&|config| {
            config.host_path(folder);
        })]),
        Place::Tcp { name, address: Some(address) } => Ok(vec![at(&|config| {
            config.host(name).hostaddr(*address);
        })]),
        Place::Tcp { name, address: None } => {
            let found = lookup_host((name.as_str(), endpoint.port)).await.map_err(Failure::Lookup)?;
            Ok(found
                .map(|address| {
                    at(&|config| {
                        config.host(name).hostaddr(address.ip());
                    })
                })
                .collect())
        }
    }
}

async fn attempt(call: &Call<'_>, config: &Config, wanted: Wanted) -> Result<Dialled, Failure> {
    let made = async {
        let dialled =
            open(config, call.target.tls().connector(), call.heard.clone()).await.map_err(Failure::Driver)?;
        if wanted != Wanted::Any
            && let Some(objection) = wanted.objection(look(&dialled.client).await.map_err(Failure::Driver)?)
        {
            return Err(Failure::Objection(objection));
        }
        Ok(dialled)
    };
    match call.target.patience() {
        Some(patience) => timeout(patience, made).await.unwrap_or(Err(Failure::TimedOut(patience))),
        None => made.await,
    }
}

async fn open<T>(
    config: &Config,
    tls: T,
    heard: Option<mpsc::UnboundedSender<String>>,
) -> Result<Dialled, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, mut connection) = config.connect(tls).await?;
    let task = tokio::spawn(async move {
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
    Ok(Dialled { client, task })
}

async fn look(client: &Client) -> Result<Found, tokio_postgres::Error> {
    let rows = client.simple_query(include_str!("../../sql/db/session_attributes.sql")).await?;
    let is = |column: &str| {
        rows.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(column).ok().flatten() == Some("t"),
            _ => false,
        })
    };
    Ok(Found { is_standby: is("is_standby"), is_read_only: is("is_read_only") })
}
