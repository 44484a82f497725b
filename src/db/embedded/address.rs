//! How clients reach the embedded server: its socket, its superuser, and a password where there is one.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_postgres::Config;

use super::initdb::SUPERUSER;
use super::location::{Location, PORT};

/// Everything but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The way to a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    socket_directory: PathBuf,
    password: Option<String>,
}

impl Address {
    /// The address of the server at `location`, as its last initdb left it.
    pub fn of(location: &Location) -> Address {
        let password = std::fs::read_to_string(location.password()).ok();
        Address { socket_directory: location.socket(), password }
    }

    pub fn socket_directory(&self) -> &Path {
        &self.socket_directory
    }

    /// A URL that tokio-postgres and libpq understand. It holds the password, if there is one: not for logs.
    ///
    /// The port is part of it, for libpq would else take `PGPORT`.
    pub fn url(&self, database: &str) -> String {
        let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let password = self.password.as_deref().map(|word| format!(":{word}")).unwrap_or_default();
        let host = escape(&self.socket_directory.to_string_lossy());
        format!("postgresql://{SUPERUSER}{password}@/{}?host={host}&port={PORT}", escape(database))
    }

    /// The same for the driver.
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.socket_directory).port(PORT).user(SUPERUSER).dbname(database);
        config.application_name("highwater/embedded");
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }

    /// The same for libpq's programs, as variables of their environment.
    pub fn environment(&self, database: &str) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("PGHOST", self.socket_directory.display().to_string()),
            ("PGPORT", PORT.to_string()),
            ("PGUSER", SUPERUSER.to_owned()),
            ("PGDATABASE", database.to_owned()),
        ];
        variables.extend(self.password.clone().map(|password| ("PGPASSWORD", password)));
        variables
    }
}

/// Without the password.
impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Address({})", self.socket_directory.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_reads_back_as_it_was_meant() {
        let address = Address {
            socket_directory: PathBuf::from("/home/ann b/50%/socket"),
            password: Some("0a1b".to_owned()),
        };
        let url = address.url("a/b?c");
        assert_eq!(
            url,
            "postgresql://postgres:0a1b@/a%2Fb%3Fc?host=%2Fhome%2Fann%20b%2F50%25%2Fsocket&port=5432"
        );
        let mut expected = address.config("a/b?c");
        expected.application_name("x");
        let mut config: Config = url.parse().unwrap();
        config.application_name("x");
        assert_eq!(config, expected);
        assert!(!format!("{address:?}").contains("0a1b"));
    }
}
