//! Bodies of requests: JSON, read with words that say what is wrong with it.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// Largest body that is one small document, in bytes.
pub const SMALL: usize = 64 * 1024;

/// A body as it came, of at most `MOST` bytes; one that says that it is larger is refused before it is read.
pub struct Raw<const MOST: usize = SMALL>(pub Bytes);

impl<S: Send + Sync, const MOST: usize> FromRequest<S> for Raw<MOST> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Raw<MOST>, Refusal> {
        let too_large = || {
            let detail = format!("the body is larger than {MOST} bytes; send it in parts");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        };
        let said = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if said.and_then(|said| said.parse::<usize>().ok()).is_some_and(|said| said > MOST) {
            return Err(too_large());
        }
        // Whoever breaks off in the middle reads no answer.
        to_bytes(request.into_body(), MOST).await.map(Raw).map_err(|_| too_large())
    }
}

impl<const MOST: usize> Raw<MOST> {
    /// The body as a document; `what` names it.
    ///
    /// # Errors
    ///
    /// 400 when it is not such a document.
    pub fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, Refusal> {
        serde_json::from_slice(&self.0)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("{what} cannot be read: {error}")))
    }
}

/// An answer in JSON.
pub fn json(status: StatusCode, document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(body) => (status, [(axum::http::header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
