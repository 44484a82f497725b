//! `POST /v1/agent/events`: reports, a verdict for each.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::body::{Raw, json};
use crate::api::caller::Agent;
use crate::api::desk::Desk;
use crate::api::refusal::Refusal;
use crate::ground::wire::event::{BATCH_BYTES, BATCH_EVENTS, Batch};
use crate::ground::wire::verdict::Verdicts;
use crate::job::event::apply;

pub async fn take(
    State(desk): State<Desk>,
    agent: Agent,
    body: Raw<BATCH_BYTES>,
) -> Result<Response, Refusal> {
    let batch: Batch = body.read("the batch")?;
    if batch.events.len() > BATCH_EVENTS {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("{} events; at most {BATCH_EVENTS} are taken, send them in parts", batch.events.len()),
        ));
    }
    let mut session = desk.pool.get().await?;
    let verdicts = apply::apply(&mut session, agent.host, &batch.events).await?;
    Ok(json(StatusCode::OK, &Verdicts { verdicts }))
}
