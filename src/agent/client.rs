//! HTTP with the server: one request, one reply, nothing followed and nothing larger than it may be.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, USER_AGENT};
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::AgentError;
use super::settings::Settings;
use crate::ground::http::{self, HttpError, Place};
use crate::ground::wire::problem::Problem;

/// The token's file in an agent's directory.
pub const TOKEN_FILE: &str = "token";

/// Largest answer that is read, in bytes: a configuration of thousands of groups.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How long a request may take, unless it waits on purpose.
pub const PATIENCE: Duration = Duration::from_secs(30);

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
    place: Place,
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
        let place = Place::parse(&base)
            .map_err(|error| AgentError::Strange { reason: format!("server \"{base}\" {error}") })?;
        if !place.is_secure && !settings.plain_http && !place.is_loopback() {
            return Err(AgentError::PlainHttp { server: base });
        }
        let prefix = place.path.trim_end_matches('/').to_owned();
        let tls = if place.is_secure { Some(connector(settings.ca.as_deref())?) } else { None };
        let token_path = root.join(TOKEN_FILE);
        Ok(Client { base, place, prefix, tls, token_path, token: Mutex::new(None) })
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
            .header(HOST, &self.place.authority)
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
        let answer =
            timeout(patience, http::exchange(&self.place, self.tls.as_ref(), request, MOST_BYTES)).await;
        let answer = answer
            .map_err(|_| away(format!("no answer within {}", humantime::format_duration(patience))))?
            .map_err(|error| match error {
                HttpError::Away(reason) => away(reason),
                HttpError::Strange(reason) => AgentError::Strange { reason },
                HttpError::Tls(reason) => AgentError::Tls { reason },
            })?;
        Ok(Reply {
            status: answer.status.as_u16(),
            retry_after: http::retry_after(&answer.headers),
            date: date(&answer.headers),
            is_json: is_json(&answer.headers),
            body: answer.body,
        })
    }
}

/// TLS as the system trusts, and what the file `ca` adds.
fn connector(ca: Option<&Path>) -> Result<TlsConnector, AgentError> {
    let pem = match ca {
        Some(path) => Some(std::fs::read(path).map_err(|error| AgentError::file("read", path, error))?),
        None => None,
    };
    http::connector(pem.as_deref()).map_err(|error| {
        let place = ca.map_or_else(String::new, |path| format!("{}: ", path.display()));
        AgentError::Tls { reason: format!("{place}{}", reason(error)) }
    })
}

/// What was wrong, without a frame of words around it.
fn reason(error: HttpError) -> String {
    match error {
        HttpError::Away(reason) | HttpError::Strange(reason) | HttpError::Tls(reason) => reason,
    }
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
