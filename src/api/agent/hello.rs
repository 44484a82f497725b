//! `POST /v1/agent/hello`: the host is there.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::body::{Raw, json};
use crate::api::caller::Agent;
use crate::api::desk::Desk;
use crate::api::refusal::Refusal;
use crate::ground::wire::hello::Hello;
use crate::ground::wire::text::NAME_BYTES;
use crate::job;

pub async fn hello(State(desk): State<Desk>, agent: Agent, body: Raw) -> Result<Response, Refusal> {
    let hello: Hello = body.read("the hello")?;
    if hello.boot_id.is_empty() || hello.boot_id.len() > NAME_BYTES || hello.epoch < 0 {
        return Err(Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("boot_id must have 1 to {NAME_BYTES} bytes, and epoch must not be negative"),
        ));
    }
    let mut session = desk.pool.get().await?;
    let welcome = job::hello::hello(&mut session, agent.host, &hello).await?;
    Ok(json(StatusCode::OK, &welcome))
}
