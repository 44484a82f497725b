//! `POST /v1/agent/fires`: the host's own cron saw a slot come.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::api::body::{Raw, json};
use crate::api::caller::Agent;
use crate::api::desk::Desk;
use crate::api::idempotency::{self, Answer};
use crate::api::refusal::Refusal;
use crate::ground::wire::fire::Fire;
use crate::job::pending;

pub async fn fire(
    State(desk): State<Desk>,
    agent: Agent,
    headers: HeaderMap,
    body: Raw,
) -> Result<Response, Refusal> {
    let fire: Fire = body.read("the fire")?;
    let key = idempotency::key(&headers)?.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("send Idempotency-Key: {}", fire.key()))
    })?;
    let mut session = desk.pool.get().await?;
    let tx = session.begin().await?;
    // A slot is its own key: whoever fires it again, server or host, finds the run that there is.
    if let Some(answer) = idempotency::recall(&tx, agent.host, &key, &body.0).await? {
        return Ok(json(StatusCode::OK, &answer.body));
    }
    let (fired, is_new) = pending::fire(&tx, agent.host, &fire).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let body_of_answer = serde_json::to_value(&fired).expect("a fire's answer has text keys only");
    let answer = Answer { status, body: body_of_answer };
    idempotency::keep(&tx, agent.host, &key, &body.0, &answer).await?;
    tx.commit().await?;
    Ok(json(answer.status, &answer.body))
}
