//! Carries batches of spans: one POST over one connection, on the thread of the queue, which may block. It follows no
//! redirect, reads no more of an answer than its head, and says once that an endpoint does not take what it brings.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tracing::{info, warn};

use super::variable;

/// Longest wait for one batch to be taken, as the standard has it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Largest head of an answer that is read.
const MOST_BYTES: usize = 64 * 1024;

/// Registered ports.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

pub struct Courier {
    tls: Arc<ClientConfig>,
    patience: Duration,
    /// Whether the last batch was not taken.
    is_turned_away: AtomicBool,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Courier").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Courier {
    /// Reads the certificates to trust and the time-out.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_environment() -> Result<Courier, String> {
        let timeout = variable(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]);
        let patience = match timeout {
            None => PATIENCE,
            Some(text) => Duration::from_millis(text.trim().parse().map_err(|_| {
                format!("OTEL_EXPORTER_OTLP_TIMEOUT is \"{text}\", and no number of milliseconds")
            })?),
        };
        let ca = variable(["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]);
        let tls = Arc::new(trusting(ca.as_deref().map(Path::new))?);
        Ok(Courier { tls, patience, is_turned_away: AtomicBool::new(false) })
    }

    /// Sends a request; returns the status of the answer.
    fn carry(&self, request: &Request<Bytes>) -> std::io::Result<u16> {
        let deadline = Instant::now() + self.patience;
        let uri = request.uri();
        let is_secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_secure { HTTPS } else { HTTP });
        let mut stream = dial(&host, port, deadline)?;
        let head = head(request);
        if is_secure {
            let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
            let session =
                ClientConnection::new(Arc::clone(&self.tls), name).map_err(std::io::Error::other)?;
            exchange(&mut StreamOwned::new(session, stream), &head, request.body(), deadline)
        } else {
            exchange(&mut stream, &head, request.body(), deadline)
        }
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let host = request.uri().host().unwrap_or_default();
        let reason = match self.carry(&request) {
            Ok(status @ 200..300) => {
                if self.is_turned_away.swap(false, Ordering::Relaxed) {
                    info!("traces are taken again by {host}");
                }
                return Ok(Response::builder().status(status).body(Bytes::new())?);
            }
            Ok(status) => format!("status {status}"),
            Err(error) => error.to_string(),
        };
        if !self.is_turned_away.swap(true, Ordering::Relaxed) {
            warn!(error = %reason, "{host} does not take traces, which are lost meanwhile: {reason}");
        }
        Err(reason.into())
    }
}

/// A connection to the first address that has one to give.
fn dial(host: &str, port: u16, deadline: Instant) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => {
                stream.set_read_timeout(Some(left(deadline)?))?;
                stream.set_write_timeout(Some(left(deadline)?))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn head(request: &Request<Bytes>) -> Vec<u8> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!("{} {path} HTTP/1.1\r\n", request.method()).into_bytes();
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    // A password before the host is no part of its name.
    let host = authority.rsplit('@').next().unwrap_or_default();
    head.extend_from_slice(format!("host: {host}\r\nconnection: close\r\n").as_bytes());
    head.extend_from_slice(format!("content-length: {}\r\n", request.body().len()).as_bytes());
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn exchange(
    stream: &mut (impl Read + Write),
    head: &[u8],
    body: &[u8],
    deadline: Instant,
) -> std::io::Result<u16> {
    stream.write_all(head)?;
    stream.write_all(body)?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        left(deadline)?;
        let count = stream.read(&mut piece)?;
        answer.extend_from_slice(piece.get(..count).unwrap_or_default());
        if count == 0 || answer.len() > MOST_BYTES {
            return Err(std::io::Error::other("its answer is no HTTP"));
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    status
        .filter(|_| text.starts_with("HTTP/1."))
        .ok_or_else(|| std::io::Error::other("its answer is no HTTP"))
}

/// TLS as the system trusts, and what `ca` adds.
fn trusting(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // Certificates of the system that cannot be read are passed over: one of them may be the wrong one, not all.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let refused = |error: String| format!("OTEL_EXPORTER_OTLP_CERTIFICATE {}: {error}", path.display());
        let found = CertificateDer::pem_file_iter(path).map_err(|error| refused(error.to_string()))?;
        for certificate in found {
            let certificate = certificate.map_err(|error| refused(error.to_string()))?;
            roots.add(certificate).map_err(|error| refused(error.to_string()))?;
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
