//! Which database: `--database-url`, then `DATABASE_URL`, then the PG* variables, then the embedded server.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_postgres::config::ChannelBinding;

use super::DbError;
use super::attrs::Wanted;
use super::embedded::{self, Server};
use super::endpoint::Endpoint;
use super::parameter::{self, Parameters};
use super::tls::Tls;
use crate::ground::config;

/// Environment variable that names the database.
pub const URL_VARIABLE: &str = "DATABASE_URL";

/// Database that highwater uses on the embedded server.
pub const EMBEDDED_DATABASE: &str = embedded::DATABASE;

/// Longest wait for one session to be had from one server, unless `connect_timeout` says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database to connect to. While it lives, an embedded server that it needs lives too.
#[derive(Clone)]
pub struct Target {
    /// User, database and session settings; hosts, encryption and password are put in by `dial`.
    config: Config,
    parameters: Parameters,
    endpoints: Vec<Endpoint>,
    tls: Tls,
    wanted: Wanted,
    is_balanced: bool,
    patience: Option<Duration>,
    /// Until when servers that are not up yet are asked again.
    waits_until: Option<Instant>,
    origin: &'static str,
    embedded: Option<Server>,
}

impl Target {
    /// Picks the database: `flag`, else `DATABASE_URL`, else the PG* variables where they say where a server is, else the
    /// embedded server, which is started if need be.
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
        if let Some(parameters) = Parameters::from_environment()? {
            return Target::from_parameters(parameters, "the PG* variables");
        }
        let server = embedded::start(&embedded::Options::default()).await?;
        Target::of_embedded(server, EMBEDDED_DATABASE)
    }

    /// Reads a `postgresql://` URL or a `key=value` string as libpq does, with what a service file and the PG* variables
    /// add; `origin` is named in errors, the text is not.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`].
    pub fn from_url(url: &str, origin: &'static str) -> Result<Target, DbError> {
        Target::from_parameters(Parameters::read(url, origin)?, origin)
    }

    /// A database of the embedded server; no variable has a say in that.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`], which only a server of another build could cause.
    pub fn of_embedded(server: Server, database: &str) -> Result<Target, DbError> {
        let origin = "the embedded server";
        let mut target = Target::from_parameters(Parameters::of(&server.url(database), origin)?, origin)?;
        target.tls = Tls::none();
        target.embedded = Some(server);
        Ok(target)
    }

    fn from_parameters(parameters: Parameters, origin: &'static str) -> Result<Target, DbError> {
        let endpoints = Endpoint::list(&parameters)?;
        let tls = Tls::from_parameters(&parameters)?;
        let wanted = Wanted::from_parameters(&parameters)?;
        let is_balanced = match parameters.get("load_balance_hosts") {
            None | Some("disable") => false,
            Some("random") => true,
            Some(other) => {
                return Err(parameters
                    .bad("load_balance_hosts", format!("\"{other}\" is neither disable nor random")));
            }
        };
        let patience = patience(&parameters)?;
        let config = settings(&parameters, origin)?;
        Ok(Target {
            config,
            parameters,
            endpoints,
            tls,
            wanted,
            is_balanced,
            patience,
            waits_until: None,
            origin,
            embedded: None,
        })
    }

    /// Whether a URL holds a password; one that cannot be read may.
    pub fn has_password(url: &str) -> bool {
        Parameters::of(url, URL_VARIABLE).map_or(true, |parameters| parameters.get("password").is_some())
    }

    /// The same target; servers that are not up yet are asked again until `budget` from now has gone by, in all.
    pub fn waiting(mut self, budget: Duration) -> Target {
        self.waits_until = Some(Instant::now() + budget);
        self
    }

    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waits_until
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }

    pub(super) fn is_balanced(&self) -> bool {
        self.is_balanced
    }

    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// The password for one server: the one that was given, else that of the password file.
    pub(super) fn password(&self, endpoint: &Endpoint) -> Option<String> {
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        match self.parameters.get("password") {
            Some(password) => Some(password.to_owned()),
            None if self.embedded.is_some() => None,
            None => parameter::password(
                &self.parameters,
                &endpoint.password_file_name(),
                endpoint.port,
                database,
                user,
            ),
        }
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
        let mut target = self.clone();
        target.config.dbname(database);
        target
    }
}

/// What the sessions themselves are given: user, database, options, name, channel binding.
fn settings(parameters: &Parameters, origin: &'static str) -> Result<Config, DbError> {
    let mut config = Config::new();
    match parameters.get("user") {
        Some(user) => config.user(user),
        None => {
            let name = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
            let name =
                name.ok_or_else(|| DbError::BadUrl { origin, reason: "it names no user".to_owned() })?;
            config.user(name.name)
        }
    };
    if let Some(database) = parameters.get("dbname") {
        config.dbname(database);
    }
    if let Some(options) = parameters.get("options") {
        config.options(options);
    }
    if let Some(name) = parameters.get("application_name") {
        config.application_name(name);
    }
    config.channel_binding(match parameters.get("channel_binding") {
        None | Some("prefer") => ChannelBinding::Prefer,
        Some("disable") => ChannelBinding::Disable,
        Some("require") => ChannelBinding::Require,
        Some(other) => {
            return Err(
                parameters.bad("channel_binding", format!("\"{other}\" is none of disable, prefer, require"))
            );
        }
    });
    Ok(config)
}

/// connect_timeout as libpq has it: seconds, none for 0 or less, at least two.
fn patience(parameters: &Parameters) -> Result<Option<Duration>, DbError> {
    const LEAST: u64 = 2;
    let Some(text) = parameters.get("connect_timeout") else { return Ok(Some(CONNECT_TIMEOUT)) };
    let seconds: i64 = text
        .trim()
        .parse()
        .map_err(|_| parameters.bad("connect_timeout", format!("\"{text}\" is not a number of seconds")))?;
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.max(LEAST))))
}

/// User, hosts and database: never the password.
impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        let hosts: Vec<String> = self.endpoints.iter().map(ToString::to_string).collect();
        write!(formatter, "database \"{database}\" at {} as \"{user}\"", hosts.join(", "))
    }
}

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
