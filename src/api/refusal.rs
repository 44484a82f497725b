//! How a request is refused: a problem document (RFC 9457) with a status, words for people and a type for programs.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::error;

use crate::db::DbError;
use crate::ground::wire::problem::{MEDIA_TYPE, PRECONDITION_FAILED, Problem};
use crate::job::JobError;

/// A database that is away is asked again after this long.
const ABSENCE: Duration = Duration::from_secs(5);

/// A request that lost a race is sent again after this long.
const RACE: Duration = Duration::from_secs(1);

/// A request that is not answered as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal whose status says to programs all there is.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Refusal {
        Refusal { status, kind: "about:blank", detail: detail.into(), retry_after: None }
    }

    /// One that programs branch on.
    pub fn typed(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Refusal {
        Refusal { kind, ..Refusal::new(status, detail) }
    }

    /// One that may be asked again, after a while.
    pub fn later(self, after: Duration) -> Refusal {
        Refusal { retry_after: Some(after), ..self }
    }

    /// If-Match or If-None-Match is needed and missing.
    pub fn precondition_required(header: &str) -> Refusal {
        Refusal::new(
            StatusCode::PRECONDITION_REQUIRED,
            format!("send {header}, so that nobody's change is overwritten"),
        )
    }

    /// If-Match or If-None-Match did not hold.
    pub fn precondition_failed(detail: impl Into<String>) -> Refusal {
        Refusal::typed(StatusCode::PRECONDITION_FAILED, PRECONDITION_FAILED, detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: self.kind.to_owned(),
            title: self.status.canonical_reason().unwrap_or("refused").to_owned(),
            status: self.status.as_u16(),
            detail: Some(self.detail),
            instance: None,
        };
        let body = serde_json::to_vec(&problem).expect("a problem has text keys only");
        let mut response = (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Refusal {
        if error.is_absence() {
            return Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer; nothing was done",
            )
            .later(ABSENCE);
        }
        match error {
            DbError::Retry(_) | DbError::LockTimeout(_) | DbError::Cancelled(_) => {
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "others were faster; nothing was done")
                    .later(RACE)
            }
            error => {
                error!(error = %error, "a request failed: {error}");
                Refusal::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the request failed; the worker's log says why",
                )
            }
        }
    }
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Refusal {
        match error {
            JobError::Db(error) => error.into(),
            error => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        }
    }
}
