//! `GET /v1/agent/config`: what a host is to do, or 304 while that has not changed.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::body::json;
use crate::api::caller::Agent;
use crate::api::desk::Desk;
use crate::api::refusal::Refusal;
use crate::job;

pub async fn config(State(desk): State<Desk>, agent: Agent, headers: HeaderMap) -> Result<Response, Refusal> {
    let session = desk.pool.get().await?;
    let config = job::config::read(&session, agent.host).await?;
    let tag = config.rev.etag();
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|one| one.trim() == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(StatusCode::OK, &config)
    };
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}
