//! A webhook: a POST of the document, signed. What proves that highwater sent it, and when, is a header:
//!
//! ```text
//! Highwater-Signature: t=1764000000,v1=HEX     HEX = HMAC-SHA256(key, "1764000000." + body)
//! ```

use std::time::Duration;

use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use sha2::Sha256;
use tokio::time::timeout;

use super::message::Message;
use super::{Refusal, address, secret};
use crate::ground::digits;
use crate::ground::http::{self, HttpError};

/// How long a post may take, from the connection to the end of the answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Of an answer only its status counts; more than this is not read.
const MOST_BYTES: usize = 64 * 1024;

/// Posts a message. Only a status of 2xx means that it was taken; a redirect is not followed, since what is told here may not be for
/// whoever is named there.
///
/// # Errors
///
/// [`Refusal`].
pub async fn post(url: &str, key: Option<&str>, message: &Message) -> Result<(), Refusal> {
    let url = if secret::is_reference(url) { secret::read(url)? } else { url.to_owned() };
    let place = address::place(&url)?;
    let body = message.document().to_string();
    let mut request = Request::builder()
        .method("POST")
        .uri(&place.path)
        .header(HOST, &place.authority)
        .header(USER_AGENT, concat!("highwater/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header("highwater-delivery", message.id.to_string())
        .header("highwater-event", &message.event);
    if let Some(key) = key {
        let signature = signature(&secret::read(key)?, message.now.timestamp(), &body);
        request = request.header("highwater-signature", signature);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| Refusal::new("the URL cannot be asked for"))?;
    let tls = match place.is_secure {
        true => Some(http::connector(None).map_err(|error| Refusal::new(error.to_string()))?),
        false => None,
    };
    let answer = timeout(PATIENCE, http::exchange(&place, tls.as_ref(), request, MOST_BYTES)).await;
    let answer = match answer {
        Err(_) => return Err(Refusal::new(format!("no answer within {} s", PATIENCE.as_secs()))),
        Ok(Err(error @ (HttpError::Away(_) | HttpError::Strange(_) | HttpError::Tls(_)))) => {
            return Err(Refusal::new(error.to_string()));
        }
        Ok(Ok(answer)) => answer,
    };
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let hint = if status.is_redirection() {
        "; redirects are not followed, give the URL that they lead to"
    } else {
        ""
    };
    Err(Refusal { reason: format!("answered {status}{hint}"), wait: http::retry_after(&answer.headers) })
}

/// The header's value.
pub fn signature(key: &str, second: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{second}.{body}").as_bytes());
    format!("t={second},v1={}", digits::hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // Compared with: printf '7.{}' | openssl dgst -sha256 -hmac key
        assert_eq!(
            signature("key", 7, "{}"),
            "t=7,v1=77bc83bd1f40422311e47918b203449aecf84b02c1568bb1b570ac2a474cc2d8"
        );
    }
}
