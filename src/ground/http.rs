//! HTTP as a client: one request, one answer, over a connection of its own. Nothing is followed, and no answer is read that is
//! larger than it may be.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Registered ports.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// How long a connection may take, and then its handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody answers, or not to the end.
    #[error("{0}")]
    Away(String),
    /// Whoever answers does not do so as it should.
    #[error("{0}")]
    Strange(String),
    #[error("the certificates cannot be used: {0}")]
    Tls(String),
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub host: String,
    pub port: u16,
    /// As the Host header says it.
    pub authority: String,
    /// Path and query of the URL.
    pub path: String,
    pub is_secure: bool,
}

impl Place {
    /// Reads an `http` or `https` URL.
    ///
    /// # Errors
    ///
    /// [`HttpError::Strange`] with what is wrong, without the URL: it may be a secret.
    pub fn parse(url: &str) -> Result<Place, HttpError> {
        let strange = |reason: &str| HttpError::Strange(reason.to_owned());
        let uri: Uri = url.parse().map_err(|_| strange("is no URL"))?;
        let host = uri.host().ok_or_else(|| strange("names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(strange("is neither http nor https")),
        };
        let authority = match (host.contains(':'), uri.port_u16()) {
            (true, Some(port)) => format!("[{host}]:{port}"),
            (true, None) => format!("[{host}]"),
            (false, Some(port)) => format!("{host}:{port}"),
            (false, None) => host.clone(),
        };
        let port = uri.port_u16().unwrap_or(if is_secure { HTTPS } else { HTTP });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Place { host, port, authority, path, is_secure })
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// TLS as the system trusts, and what the PEM in `more` adds.
///
/// # Errors
///
/// [`HttpError::Tls`].
pub fn connector(more: Option<&[u8]>) -> Result<TlsConnector, HttpError> {
    let refused = |error: &dyn std::fmt::Display| HttpError::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    // Certificates of the system that cannot be read are passed over: one of them may be the wrong one, not all.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in more.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        roots.add(certificate.map_err(|error| refused(&error))?).map_err(|error| refused(&error))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Sends a request to a place, in the clear without `tls`, and reads an answer of at most `most_bytes`.
///
/// # Errors
///
/// [`HttpError::Away`] and [`HttpError::Strange`]; a status is no error here.
pub async fn exchange(
    place: &Place,
    tls: Option<&TlsConnector>,
    request: Request<Full<Bytes>>,
    most_bytes: usize,
) -> Result<Answer, HttpError> {
    let away = |error: &dyn std::fmt::Display| HttpError::Away(error.to_string());
    let dialled = timeout(CONNECT, TcpStream::connect((place.host.as_str(), place.port))).await;
    let stream =
        dialled.map_err(|_| away(&"cannot be connected to in time"))?.map_err(|error| away(&error))?;
    match tls {
        None => talk(stream, request, most_bytes).await,
        Some(tls) => {
            let name = ServerName::try_from(place.host.clone()).map_err(|error| away(&error))?;
            let secured = timeout(CONNECT, tls.connect(name, stream)).await;
            let secured =
                secured.map_err(|_| away(&"does not shake hands in time"))?.map_err(|error| away(&error))?;
            talk(secured, request, most_bytes).await
        }
    }
}

/// One request over one connection, which ends with it: requests are seconds apart, and a connection that lay idle
/// through a night of sleep is none.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    most_bytes: usize,
) -> Result<Answer, HttpError> {
    let away = |error: hyper::Error| HttpError::Away(deepest(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    // Ends when the sender is dropped, with or without an answer.
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await.map_err(away)?;
        let (head, mut body) = response.into_parts();
        let mut answer = Answer { status: head.status, headers: head.headers, body: Vec::new() };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(away)?.into_data() else { continue };
            if answer.body.len() + data.len() > most_bytes {
                return Err(HttpError::Strange(format!("its answer has more than {most_bytes} bytes")));
            }
            answer.body.extend_from_slice(&data);
        }
        Ok(answer)
    };
    let answer = answer.await;
    driver.abort();
    answer
}

/// The innermost cause says what happened; the outer ones repeat the URL.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

/// Longest Retry-After that is obeyed to the letter; a longer one is cut.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// How long to wait before another try, if the answer says so. In seconds only; a date would be by a clock that may not be ours.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(axum::http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_its_url() {
        let place = Place::parse("https://[::1]:8443/hook?x=1").unwrap();
        assert_eq!((place.host.as_str(), place.port, place.path.as_str()), ("::1", 8443, "/hook?x=1"));
        assert_eq!((place.authority.as_str(), place.is_secure), ("[::1]:8443", true));
        assert!(place.is_loopback());
        let place = Place::parse("http://chat.example").unwrap();
        assert_eq!((place.port, place.path.as_str(), place.is_loopback()), (80, "/", false));
        for wrong in ["chat.example", "ftp://chat.example/", "https://", "not a url"] {
            let error = Place::parse(wrong).unwrap_err().to_string();
            assert!(!error.contains(wrong), "{error}");
        }
    }
}
