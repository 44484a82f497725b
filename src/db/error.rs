//! What can go wrong between us and Postgres, sorted by what the caller can do about it.

use tokio_postgres::error::SqlState;

use crate::ground::exit::Exit;

/// SQLSTATE that `highwater.assert_rollup_current` raises; the class is private to highwater.
pub const GUARD_REFUSED: &str = "HW010";

/// An error of the database or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Serialization failure or deadlock: running the whole transaction again is right.
    #[error("{0}; the transaction may be retried")]
    Retry(Box<ServerError>),
    /// `lock_timeout` ran out (55P03): someone holds a lock for longer than we were willing to wait.
    #[error("gave up waiting for a lock: {0}")]
    LockTimeout(Box<ServerError>),
    /// The statement was cancelled, by us or by `statement_timeout` (57014).
    #[error("statement cancelled: {0}")]
    Cancelled(Box<ServerError>),
    /// A guard refused (SQLSTATE HW010).
    #[error("{0}")]
    GuardRefused(Box<ServerError>),
    /// An integrity constraint was violated (class 23).
    #[error("{0}")]
    Constraint(Box<ServerError>),
    /// Any other refusal by the server.
    #[error("{0}")]
    Server(Box<ServerError>),
    /// The connection could not be made.
    #[error("cannot connect to {target}: {reason}")]
    Connect { target: String, reason: String },
    /// The connection broke; whether the last statement took effect is unknown.
    #[error("connection to the database was lost: {0}")]
    Lost(String),
    /// `--database-url` or `DATABASE_URL` cannot be understood.
    #[error("bad database URL from {origin}: {reason}")]
    BadUrl { origin: &'static str, reason: String },
    /// The embedded server cannot be had.
    #[error(transparent)]
    Embedded(Box<super::embedded::EmbeddedError>),
    /// The driver could not make sense of an answer: our bug.
    #[error("unexpected answer from the database: {0}")]
    Bug(String),
}

/// What the server said, kept apart so that messages can be shown in one line and details in several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub constraint: Option<String>,
    /// Character offset into the statement, from 1.
    pub position: Option<u32>,
    /// PL/pgSQL call stack, innermost first.
    pub context: Option<String>,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} (SQLSTATE {})", self.message, self.code)?;
        if let Some(detail) = &self.detail {
            write!(formatter, "; {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "; hint: {hint}")?;
        }
        Ok(())
    }
}

impl DbError {
    /// The server's own words, where the server spoke.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            DbError::Retry(error)
            | DbError::LockTimeout(error)
            | DbError::Cancelled(error)
            | DbError::GuardRefused(error)
            | DbError::Constraint(error)
            | DbError::Server(error) => Some(error),
            DbError::Connect { .. }
            | DbError::Lost(_)
            | DbError::BadUrl { .. }
            | DbError::Embedded(_)
            | DbError::Bug(_) => None,
        }
    }

    /// Whether the database cannot be reached, now: no fault of whoever asked it.
    pub fn is_absence(&self) -> bool {
        match self {
            DbError::Lost(_) | DbError::Connect { .. } => true,
            DbError::Retry(_)
            | DbError::LockTimeout(_)
            | DbError::Cancelled(_)
            | DbError::GuardRefused(_)
            | DbError::Constraint(_)
            | DbError::Server(_)
            | DbError::BadUrl { .. }
            | DbError::Embedded(_)
            | DbError::Bug(_) => false,
        }
    }

    /// The exit code of a command that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            DbError::BadUrl { .. } => Exit::Usage,
            DbError::GuardRefused(_) => Exit::GuardRefused,
            DbError::Retry(_)
            | DbError::LockTimeout(_)
            | DbError::Cancelled(_)
            | DbError::Constraint(_)
            | DbError::Server(_) => Exit::SqlFailed,
            DbError::Connect { .. } | DbError::Lost(_) | DbError::Embedded(_) | DbError::Bug(_) => {
                Exit::Unexpected
            }
        }
    }

    /// SQLSTATE, where the server spoke.
    pub fn code(&self) -> Option<&str> {
        self.server().map(|error| error.code.as_str())
    }
}

impl From<super::embedded::EmbeddedError> for DbError {
    fn from(error: super::embedded::EmbeddedError) -> DbError {
        DbError::Embedded(Box::new(error))
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> DbError {
        if let Some(said) = error.as_db_error() {
            return sort(said);
        }
        if error.is_closed() {
            return DbError::Lost("connection closed".to_owned());
        }
        let reason = innermost(&error);
        let broken = std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
        if broken { DbError::Lost(reason) } else { DbError::Bug(format!("{error}: {reason}")) }
    }
}

fn sort(said: &tokio_postgres::error::DbError) -> DbError {
    use tokio_postgres::error::ErrorPosition;
    let server = Box::new(ServerError {
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
        detail: said.detail().map(str::to_owned),
        hint: said.hint().map(str::to_owned),
        constraint: said.constraint().map(str::to_owned),
        position: match said.position() {
            Some(ErrorPosition::Original(position)) => Some(*position),
            Some(ErrorPosition::Internal { .. }) | None => None,
        },
        context: said.where_().map(str::to_owned),
    });
    let code = said.code();
    if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
        DbError::Retry(server)
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        DbError::LockTimeout(server)
    } else if *code == SqlState::QUERY_CANCELED {
        DbError::Cancelled(server)
    } else if server.code == GUARD_REFUSED {
        DbError::GuardRefused(server)
    } else if server.code.starts_with("23") {
        DbError::Constraint(server)
    } else if server.code.starts_with("08") || server.code.starts_with("57P") {
        DbError::Lost(server.to_string())
    } else {
        DbError::Server(server)
    }
}

/// The last cause in an error's chain: drivers wrap "db error" around what matters.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
