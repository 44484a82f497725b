//! Where servers are: the hosts of a connection string, in order, each with its address and port.

use std::net::IpAddr;
use std::path::PathBuf;

use super::DbError;
use super::parameter::Parameters;

/// Postgres's registered port.
pub const DEFAULT_PORT: u16 = 5432;

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub place: Place,
    pub port: u16,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// By name, or by an address in the name's stead.
    Tcp { name: String, address: Option<IpAddr> },
    /// Through the socket in a directory.
    Unix(PathBuf),
}

/// Directories of the socket on this platform's packages, the first that is there; else TCP to this machine.
const SOCKET_DIRECTORIES: [&str; 2] = ["/run/postgresql", "/var/run/postgresql"];

impl Endpoint {
    /// The endpoints that `host`, `hostaddr` and `port` name; this machine's own where they name none.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`]: lists of different lengths, a bad address or port.
    pub fn list(parameters: &Parameters) -> Result<Vec<Endpoint>, DbError> {
        let split = |name: &str| -> Vec<String> {
            parameters.get(name).map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
        };
        let (hosts, addresses, ports) = (split("host"), split("hostaddr"), split("port"));
        let count = hosts.len().max(addresses.len()).max(1);
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return Err(parameters
                .bad("hostaddr", format!("{} addresses for {} hosts", addresses.len(), hosts.len())));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(parameters.bad("port", format!("{} ports for {count} hosts", ports.len())));
        }
        (0..count)
            .map(|place| {
                let host = hosts.get(place).map(String::as_str).unwrap_or_default();
                let address = addresses.get(place).map(String::as_str).unwrap_or_default();
                let port = ports.get(place).or(ports.first()).map(String::as_str).unwrap_or_default();
                Ok(Endpoint {
                    place: read_place(parameters, host, address)?,
                    port: read_port(parameters, port)?,
                })
            })
            .collect()
    }

    /// Whether the server is reached through a Unix socket.
    pub fn is_unix_socket(&self) -> bool {
        matches!(self.place, Place::Unix(_))
    }

    /// The host's name in a password file.
    pub fn password_file_name(&self) -> String {
        match &self.place {
            Place::Tcp { name, .. } => name.clone(),
            Place::Unix(folder) if SOCKET_DIRECTORIES.iter().any(|usual| folder.as_os_str() == *usual) => {
                "localhost".to_owned()
            }
            Place::Unix(folder) => folder.display().to_string(),
        }
    }
}

fn read_place(parameters: &Parameters, host: &str, address: &str) -> Result<Place, DbError> {
    let address: Option<IpAddr> = match address {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| parameters.bad("hostaddr", format!("\"{text}\" is not an IP address")))?,
        ),
    };
    Ok(match (host, address) {
        ("", Some(address)) => Place::Tcp { name: address.to_string(), address: Some(address) },
        ("", None) => match SOCKET_DIRECTORIES.iter().map(PathBuf::from).find(|folder| folder.is_dir()) {
            Some(folder) => Place::Unix(folder),
            None => Place::Tcp { name: "localhost".to_owned(), address: None },
        },
        (host, None) if host.starts_with('/') => Place::Unix(PathBuf::from(host)),
        (host, address) => Place::Tcp { name: host.to_owned(), address },
    })
}

fn read_port(parameters: &Parameters, text: &str) -> Result<u16, DbError> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| parameters.bad("port", "expected a number between 1 and 65535".to_owned()))
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp { name, .. } if name.contains(':') => write!(formatter, "[{name}]:{}", self.port),
            Place::Tcp { name, .. } => write!(formatter, "{name}:{}", self.port),
            Place::Unix(folder) => write!(formatter, "{}:{}", folder.display(), self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<String>, DbError> {
        let parameters = Parameters::of(text, "test")?;
        Ok(Endpoint::list(&parameters)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn hosts_addresses_and_ports_go_together() {
        assert_eq!(list("postgresql://a:1,b,[::1]:3/x").unwrap(), ["a:1", "b:5432", "[::1]:3"]);
        assert_eq!(list("host=a,b port=6000").unwrap(), ["a:6000", "b:6000"]);
        assert_eq!(list("host=/run/pg port=6000").unwrap(), ["/run/pg:6000"]);
        assert_eq!(list("hostaddr=127.0.0.1").unwrap(), ["127.0.0.1:5432"]);
        for text in [
            "host=a,b,c port=1,2",
            "host=a hostaddr=127.0.0.1,127.0.0.2",
            "hostaddr=db",
            "host=a port=0",
            "host=a port=x",
        ] {
            assert!(list(text).is_err(), "{text}");
        }
    }
}
