//! HTTP with the server: one request, one reply, nothing followed and nothing larger than it may be.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, Request, Uri};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::AgentError;
use super::settings::Settings;
use crate::ground::wire::problem::Problem;

/// The token's file in an agent's directory.
pub const TOKEN_FILE: &str = "token";

/// Largest answer that is read, in bytes: a configuration of thousands of groups.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Registered ports.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a request may take, unless it waits on purpose.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Longest Retry-After that is obeyed to the letter; a longer one is cut.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// One request.
#[derive(Debug, Default)]
pub struct Call<'call> {
    pub method: &'call str,
    /// From the root of the server: `/v1/...`.
    pub path: &'call str,
    pub headers: Vec<(&'static str, String)>,
    pub content_type: Option<&'call str>,
    pub body: Option<Vec<u8>>,
    pub patience: Option<Duration>,
    /// Enrolment has none yet.
    pub is_anonymous: bool,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// The server's clock, to the second.
    pub date: Option<DateTime<Utc>>,
    /// Whether it says that it is JSON; a page of a hotel's network does not.
    pub is_json: bool,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as a document.
    ///
    /// # Errors
    ///
    /// [`AgentError::Strange`] when it is another.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, AgentError> {
        if !self.is_json {
            return Err(AgentError::Strange { reason: "its answer is no JSON".to_owned() });
        }
        serde_json::from_slice(&self.body).map_err(|error| AgentError::Strange { reason: error.to_string() })
    }

    pub fn problem(&self) -> Option<Problem> {
        Problem::read(&self.body)
    }

    /// The problem's words, or the status.
    pub fn words(&self) -> String {
        match self.problem() {
            Some(problem) => format!("{} ({})", problem, self.status),
            None => format!("status {}", self.status),
        }
    }
}

/// The way to one server.
pub struct Client {
    base: String,
    host: String,
    port: u16,
    /// As the header says it.
    authority: String,
    /// Before every path, where the server is behind a proxy.
    prefix: String,
    /// None: in the clear.
    tls: Option<TlsConnector>,
    token_path: PathBuf,
    token: Mutex<Option<(SystemTime, String)>>,
}

impl Client {
    /// Makes ready; asks nobody yet.
    ///
    /// # Errors
    ///
    /// [`AgentError::NoServer`], [`AgentError::PlainHttp`], or what TLS says about the certificates.
    pub fn new(root: &Path, settings: &Settings) -> Result<Client, AgentError> {
        let base =
            settings.server.as_deref().ok_or_else(|| AgentError::NoServer { path: root.to_owned() })?;
        let base = base.trim_end_matches('/').to_owned();
        let strange = |reason: &str| AgentError::Strange { reason: format!("server \"{base}\" {reason}") };
        let uri: Uri = base.parse().map_err(|_| strange("is no URL"))?;
        let host = uri.host().ok_or_else(|| strange("names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_secure = uri.scheme_str() == Some("https");
        if !is_secure && !settings.plain_http && !is_loopback(&host) {
            return Err(AgentError::PlainHttp { server: base });
        }
        let authority = match (host.contains(':'), uri.port_u16()) {
            (true, Some(port)) => format!("[{host}]:{port}"),
            (true, None) => format!("[{host}]"),
            (false, Some(port)) => format!("{host}:{port}"),
            (false, None) => host.clone(),
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let port = uri.port_u16().unwrap_or(if is_secure { HTTPS } else { HTTP });
        let tls = if is_secure { Some(connector(settings.ca.as_deref())?) } else { None };
        let token_path = root.join(TOKEN_FILE);
        Ok(Client { base, host, port, authority, prefix, tls, token_path, token: Mutex::new(None) })
    }

    /// Where the server is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// When the token was last written; none without one.
    pub fn token_written(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.token_path).and_then(|found| found.modified()).ok()
    }

    /// The token, read again when its file has changed.
    fn token(&self) -> Result<String, AgentError> {
        let missing = || AgentError::NoToken { path: self.token_path.clone() };
        let written = self.token_written().ok_or_else(missing)?;
        let mut known = self.token.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*known {
            Some((at, token)) if *at == written => Ok(token.clone()),
            _ => {
                let text = std::fs::read_to_string(&self.token_path)
                    .map_err(|error| AgentError::file("read", &self.token_path, error))?;
                let token = text.trim().to_owned();
                if token.is_empty() {
                    return Err(missing());
                }
                *known = Some((written, token.clone()));
                Ok(token)
            }
        }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    ///
    /// [`AgentError::Away`] when there was none; a status is no error here.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, AgentError> {
        let wrong = |error: axum::http::Error| AgentError::Strange { reason: error.to_string() };
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.prefix, call.path))
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("highwater-agent/", env!("CARGO_PKG_VERSION")));
        if !call.is_anonymous {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.token()?));
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, call.content_type.unwrap_or("application/json"));
        }
        let request = request.body(Full::new(Bytes::from(call.body.unwrap_or_default()))).map_err(wrong)?;
        let away = |reason: String| AgentError::Away { server: self.base.clone(), reason };
        let patience = call.patience.unwrap_or(PATIENCE);
        timeout(patience, self.exchange(request))
            .await
            .map_err(|_| away(format!("no answer within {}", humantime::format_duration(patience))))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, AgentError> {
        let away = |reason: String| AgentError::Away { server: self.base.clone(), reason };
        let dialled = timeout(CONNECT, TcpStream::connect((self.host.as_str(), self.port))).await;
        let stream = dialled
            .map_err(|_| away("cannot be connected to in time".to_owned()))?
            .map_err(|error| away(error.to_string()))?;
        match &self.tls {
            None => self.talk(stream, request).await,
            Some(tls) => {
                let name =
                    ServerName::try_from(self.host.clone()).map_err(|error| away(error.to_string()))?;
                let secured = timeout(CONNECT, tls.connect(name, stream)).await;
                let secured = secured
                    .map_err(|_| away("does not shake hands in time".to_owned()))?
                    .map_err(|error| away(error.to_string()))?;
                self.talk(secured, request).await
            }
        }
    }

    /// One request over one connection, which ends with it: requests are seconds apart, and a connection that lay idle
    /// through a night of sleep is none.
    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<Reply, AgentError> {
        let away =
            |error: hyper::Error| AgentError::Away { server: self.base.clone(), reason: deepest(&error) };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
        // Ends when the sender is dropped, with or without an answer.
        let driver = tokio::spawn(connection);
        let answer = async {
            let response = sender.send_request(request).await.map_err(away)?;
            let headers = response.headers();
            let mut reply = Reply {
                status: response.status().as_u16(),
                retry_after: retry_after(headers),
                date: date(headers),
                is_json: is_json(headers),
                body: Vec::new(),
            };
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(away)?.into_data() else { continue };
                if reply.body.len() + data.len() > MOST_BYTES {
                    return Err(AgentError::Strange {
                        reason: format!("its answer has more than {MOST_BYTES} bytes"),
                    });
                }
                reply.body.extend_from_slice(&data);
            }
            Ok(reply)
        };
        let answer = answer.await;
        driver.abort();
        answer
    }
}

/// TLS as the system trusts, and what `ca` adds.
fn connector(ca: Option<&Path>) -> Result<TlsConnector, AgentError> {
    let refused = |reason: String| AgentError::Tls { reason };
    let mut roots = RootCertStore::empty();
    // Certificates of the system that cannot be read are passed over: one of them may be the wrong one, not all.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let pem = std::fs::read(path).map_err(|error| AgentError::file("read", path, error))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| refused(format!("{}: {error}", path.display())))?;
            roots.add(certificate).map_err(|error| refused(format!("{}: {error}", path.display())))?;
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(std::sync::Arc::new(config)))
}

/// In seconds only; a date would be by a clock that may not be ours.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let said = headers.get(DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(said).ok().map(|date| date.with_timezone(&Utc))
}

fn is_json(headers: &HeaderMap) -> bool {
    let said = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

/// The innermost cause says what happened; the outer ones repeat the URL.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

/// Whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        let dir = tempfile::tempdir().unwrap();
        let made = |url: &str| {
            let settings = Settings { server: Some(url.to_owned()), ..Settings::default() };
            Client::new(dir.path(), &settings)
        };
        for url in ["http://127.0.0.1:9187", "http://localhost", "http://[::1]:80/x", "https://hw.example"] {
            assert!(made(url).is_ok(), "{url}");
        }
        for url in
            ["http://127.0.0.1.example.org", "http://db.example:9187", "http://localhost:80@evil.example"]
        {
            assert!(matches!(made(url), Err(AgentError::PlainHttp { .. })), "{url}");
        }
        assert_eq!(made("http://[::1]:80/x/").unwrap().prefix, "/x");
    }
}
