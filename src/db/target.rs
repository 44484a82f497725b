//! Which database: `--database-url`, then `DATABASE_URL`, then the embedded server.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::DbError;
use super::embedded::{self, Server};
use crate::ground::config;

/// Environment variable that names the database.
pub const URL_VARIABLE: &str = "DATABASE_URL";

/// Database that highwater uses on the embedded server.
pub const EMBEDDED_DATABASE: &str = embedded::DATABASE;

/// A database to connect to. While it lives, an embedded server that it needs lives too.
pub struct Target {
    config: Config,
    origin: &'static str,
    embedded: Option<Server>,
}

impl Target {
    /// Picks the database: `flag`, else `DATABASE_URL`, else the embedded server, which is started if need be.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`], or what the embedded server says.
    pub async fn choose(flag: Option<&str>) -> Result<Target, DbError> {
        if let Some(url) = flag {
            return Target::from_url(url, "--database-url");
        }
        if let Some(url) = config::env(URL_VARIABLE) {
            return Target::from_url(&url, URL_VARIABLE);
        }
        let server = embedded::start(&embedded::Options::default()).await?;
        let url = server.url(EMBEDDED_DATABASE);
        let mut target = Target::from_url(&url, "the embedded server")?;
        target.embedded = Some(server);
        Ok(target)
    }

    /// Reads a `postgresql://` URL or a `key=value` string; `origin` is named in errors, the text is not.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`].
    pub fn from_url(url: &str, origin: &'static str) -> Result<Target, DbError> {
        let bad = |reason: String| DbError::BadUrl { origin, reason };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            bad(format!(
                "{}; expected postgresql://user@host:5432/database or postgresql://user@/database?host=/run/postgresql",
                super::error::innermost(&error)
            ))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad("it names no host; for a Unix socket add ?host=/run/postgresql".to_owned()));
        }
        if config.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
            return Err(bad(
                "sslmode=require is not supported by this version; connect over a Unix socket, a \
                            private network or an SSH tunnel"
                    .to_owned(),
            ));
        }
        if config.get_user().is_none() {
            let name = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
            let name = name.ok_or_else(|| bad("it names no user".to_owned()))?;
            config.user(name.name);
        }
        Ok(Target { config, origin, embedded: None })
    }

    /// Whether a URL holds a password; one that cannot be read may.
    pub fn has_password(url: &str) -> bool {
        url.parse::<Config>().map_or(true, |config| config.get_password().is_some())
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Where the database's address came from.
    pub fn origin(&self) -> &'static str {
        self.origin
    }

    /// The embedded server behind this target, if it is one.
    pub fn embedded(&self) -> Option<&Server> {
        self.embedded.as_ref()
    }

    /// The same server, another database.
    pub fn with_database(&self, database: &str) -> Target {
        let mut config = self.config.clone();
        config.dbname(database);
        Target { config, origin: self.origin, embedded: self.embedded.clone() }
    }
}

/// User, host, port and database: never the password.
impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => self.config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
        write!(formatter, "database \"{database}\" at {host}:{port} as \"{user}\"")
    }
}

/// Postgres's registered port.
const DEFAULT_PORT: u16 = 5432;

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_shows_everything_but_the_password() {
        let target =
            Target::from_url("postgresql://ann:s3cret@db.example:6000/app", "--database-url").unwrap();
        assert_eq!(target.to_string(), "database \"app\" at db.example:6000 as \"ann\"");
        assert!(!format!("{target:?}").contains("s3cret"));
    }

    #[test]
    fn a_socket_directory_may_be_a_parameter() {
        let target = Target::from_url("postgresql://ann@/app?host=%2Frun%2Fpg", "DATABASE_URL").unwrap();
        assert_eq!(target.to_string(), "database \"app\" at /run/pg:5432 as \"ann\"");
    }

    #[test]
    fn a_bad_url_is_not_repeated() {
        let error = Target::from_url("postgresql://ann:s3cret@db:port/app", "--database-url").unwrap_err();
        assert!(matches!(error, DbError::BadUrl { .. }));
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
