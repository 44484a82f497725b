//! What agents ask for: the endpoints under `/v1/agent`. Each is a few lines over a function of the job wing.

mod config;
mod enrol;
mod events;
mod fires;
mod hello;
mod lease;
mod records;
mod work;

use axum::Router;
use axum::routing::{get, post, put};

use super::desk::Desk;

/// The routes.
pub fn routes() -> Router<Desk> {
    Router::new()
        .route("/v1/agent/enrol", post(enrol::enrol))
        .route("/v1/agent/hello", post(hello::hello))
        .route("/v1/agent/config", get(config::config))
        .route("/v1/agent/fires", post(fires::fire))
        .route("/v1/agent/work", get(work::work))
        .route("/v1/agent/jobs/{id}/lease", post(lease::renew))
        .route("/v1/agent/records/{id}", put(records::put))
        .route("/v1/agent/events", post(events::take))
}
