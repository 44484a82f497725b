//! TLS as libpq's six sslmodes have it, over rustls: what is tried in which order, and what of the server's
//! certificate is checked. A Unix socket is never encrypted, whatever the mode.

mod files;
mod verify;

use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::CryptoProvider;
use tokio_postgres::config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DbError;
use super::parameter::Parameters;

/// libpq's sslmode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

const MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// What of a server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// Nothing: the connection is encrypted, to whomever.
    Nothing,
    /// That an authority we trust has signed it.
    Authority,
    /// And that it was made out to the host we asked for.
    Name,
}

/// How connections to one target are encrypted.
#[derive(Clone)]
pub struct Tls {
    mode: SslMode,
    negotiation: config::SslNegotiation,
    connector: MakeRustlsConnect,
}

impl Tls {
    /// Reads sslmode, sslrootcert, sslcert, sslkey, sslnegotiation and ssl_min_protocol_version, and the files that they
    /// name.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`] for an unknown mode, or a file that is missing, unreadable or too open.
    pub fn from_parameters(parameters: &Parameters) -> Result<Tls, DbError> {
        let system = parameters.get("sslrootcert") == Some("system");
        let mode = match parameters.get("sslmode") {
            None if system => SslMode::VerifyFull,
            None => SslMode::Prefer,
            Some(text) => {
                MODES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode).ok_or_else(|| {
                    let names: Vec<&str> = MODES.iter().map(|(name, _)| *name).collect();
                    parameters.bad("sslmode", format!("\"{text}\" is none of {}", names.join(", ")))
                })?
            }
        };
        if system && mode != SslMode::VerifyFull {
            return Err(parameters.bad(
                "sslrootcert",
                "the system's authorities sign for anyone, so that \"system\" needs sslmode=verify-full",
            ));
        }
        let negotiation = match parameters.get("sslnegotiation") {
            None | Some("postgres") => config::SslNegotiation::Postgres,
            Some("direct") if matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) => {
                return Err(parameters.bad("sslnegotiation", "\"direct\" needs sslmode=require or stronger"));
            }
            Some("direct") => config::SslNegotiation::Direct,
            Some(other) => {
                return Err(
                    parameters.bad("sslnegotiation", format!("\"{other}\" is neither postgres nor direct"))
                );
            }
        };
        let connector = MakeRustlsConnect::new(client(mode, negotiation, parameters)?);
        Ok(Tls { mode, negotiation, connector })
    }

    /// Plain connections only, for the embedded server.
    pub fn none() -> Tls {
        let nobody = rustls::RootCertStore::empty();
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("ring knows both versions")
            .with_root_certificates(nobody)
            .with_no_client_auth();
        Tls {
            mode: SslMode::Disable,
            negotiation: config::SslNegotiation::Postgres,
            connector: MakeRustlsConnect::new(client),
        }
    }

    /// What is tried, in order, for a host: the driver's modes, of which `Prefer` goes on in plain text only where the
    /// server knows no TLS.
    pub fn attempts(&self, is_unix_socket: bool) -> &'static [config::SslMode] {
        use config::SslMode::{Disable, Prefer, Require};
        match self.mode {
            _ if is_unix_socket => &[Disable],
            SslMode::Disable => &[Disable],
            SslMode::Allow => &[Disable, Require],
            SslMode::Prefer => &[Prefer, Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Require],
        }
    }

    /// How TLS begins.
    pub fn negotiation(&self) -> config::SslNegotiation {
        self.negotiation
    }

    /// What makes streams encrypted ones.
    pub fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn client(
    mode: SslMode,
    negotiation: config::SslNegotiation,
    parameters: &Parameters,
) -> Result<ClientConfig, DbError> {
    let versions: &[&rustls::SupportedProtocolVersion] = match parameters.get("ssl_min_protocol_version") {
        // rustls knows nothing older than 1.2.
        None | Some("TLSv1" | "TLSv1.1" | "TLSv1.2") => rustls::ALL_VERSIONS,
        Some("TLSv1.3") => &[&rustls::version::TLS13],
        Some(other) => {
            return Err(parameters
                .bad("ssl_min_protocol_version", format!("\"{other}\" is neither TLSv1.2 nor TLSv1.3")));
        }
    };
    let trusted = match mode {
        SslMode::Disable => None,
        SslMode::Allow | SslMode::Prefer | SslMode::Require => files::trusted_if_there(parameters)?,
        SslMode::VerifyCa | SslMode::VerifyFull => Some(files::trusted(parameters)?),
    };
    let check = match (mode, &trusted) {
        (SslMode::VerifyFull, _) => Check::Name,
        // As libpq has it: where authorities are at hand, the weaker modes ask for one of them too.
        (_, Some(_)) => Check::Authority,
        (_, None) => Check::Nothing,
    };
    let provider = provider();
    let verifier = verify::Verifier::new(check, trusted.unwrap_or_default(), &provider)
        .map_err(|error| parameters.bad("sslrootcert", error))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring knows both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut client = match files::identity(parameters)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| parameters.bad("sslcert", format!("does not go with its key: {error}")))?,
        None => builder.with_no_client_auth(),
    };
    if negotiation == config::SslNegotiation::Direct {
        client.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(client)
}
