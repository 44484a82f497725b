//! `POST /v1/agent/jobs/{id}/lease`: the host is still at it; also acknowledges a dispatch.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use crate::api::body::json;
use crate::api::caller::Agent;
use crate::api::desk::Desk;
use crate::api::refusal::Refusal;
use crate::ground::wire::id::{JobId, LeaseToken};
use crate::job::pending::{self, Renewal};

pub async fn renew(
    State(desk): State<Desk>,
    agent: Agent,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let job: JobId = id
        .parse()
        .map_err(|_| Refusal::new(StatusCode::NOT_FOUND, "there is no such job: its id is not a UUID"))?;
    let token = headers.get(header::IF_MATCH).ok_or_else(|| Refusal::precondition_required("If-Match"))?;
    let token = token.to_str().ok().and_then(LeaseToken::of_etag).ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "If-Match must be the lease token in quotes, such as \"7\"")
    })?;
    let session = desk.pool.get().await?;
    match pending::renew(&session, agent.host, job, token).await? {
        Renewal::Renewed(renewed) => Ok(json(StatusCode::OK, &renewed)),
        Renewal::Lost => Err(Refusal::precondition_failed("the lease is another's; stop")),
        Renewal::Gone => Err(Refusal::new(StatusCode::GONE, "the job has ended, or is not this host's")),
    }
}
