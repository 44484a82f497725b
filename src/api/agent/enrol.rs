//! `POST /v1/agent/enrol`: a code, good once, for a token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tracing::{info, warn};
use uuid::Uuid;

use crate::api::body::{Raw, json};
use crate::api::desk::Desk;
use crate::api::refusal::Refusal;
use crate::db::Executor;
use crate::ground::wire::hello::{Enrol, Enrolled};
use crate::ground::wire::id::HostId;
use crate::job::secret::{self, Secret};

/// Who has no token yet shares one bucket: codes are not to be guessed.
const STRANGERS: Uuid = Uuid::nil();

pub async fn enrol(State(desk): State<Desk>, body: Raw) -> Result<Response, Refusal> {
    desk.limiter.admit(STRANGERS)?;
    let enrol: Enrol = body.read("the enrolment")?;
    let token = Secret::token();
    let session = desk.pool.get().await?;
    let statement = include_str!("../../../sql/api/enrol.sql");
    let row = session.query_opt(statement, &[&secret::digest(&enrol.code), &token.sha256]).await?;
    let Some(row) = row else {
        warn!("refused an enrolment: the code is not known, used or expired");
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "the code is not known, was used, or has expired; make one with \"highwater hosts enrol-code\"",
        ));
    };
    let host = HostId(row.get::<_, Uuid>("host"));
    info!(%host, hostname = enrol.hostname, version = enrol.version, "host {host} is enrolled");
    let enrolled = Enrolled { host, name: row.get("name"), token: token.text, expires_at: None };
    Ok(json(StatusCode::CREATED, &enrolled))
}
