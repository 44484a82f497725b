//! `GET /v1/agent/work?wait=25`: a long poll for work.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::api::body::json;
use crate::api::caller::Agent;
use crate::api::desk::Desk;
use crate::api::refusal::Refusal;
use crate::ground::shutdown::Urgency;
use crate::ground::wire::work::Work;
use crate::job::pending;

/// Longest wait: proxies cut what is silent for a minute.
const LONGEST_SECONDS: u64 = 55;

/// Pause between two looks of a request that waits.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// Seconds to wait for work; none: answer at once.
    #[serde(default)]
    wait: u64,
}

pub async fn work(
    State(desk): State<Desk>,
    agent: Agent,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) =
        asked.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "wait must be a whole number of seconds"))?;
    let until = Instant::now() + Duration::from_secs(asked.wait.min(LONGEST_SECONDS));
    loop {
        let found = {
            // Given back while the request waits.
            let mut session = desk.pool.get().await?;
            pending::claim(&mut session, agent.host).await?
        };
        if !found.is_empty() || Instant::now() + LOOK > until || desk.shutdown.is_requested() {
            return Ok(json(StatusCode::OK, &Work { work: found }));
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = desk.shutdown.at_least(Urgency::Soon) => {}
        }
    }
}
