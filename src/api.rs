//! HTTP: what monitors and orchestrators ask a worker, and what agents and writers of usage events tell it. It listens on
//! the loopback interface unless told otherwise. What a stranger may ask tells nothing that one could act on; all else
//! wants a bearer token.
//!
//! `caller` (whose token is it?) → `agent/`, `usage` (read the document, call the job wing, answer) → `refusal` (why not).

mod agent;
mod body;
mod caller;
mod desk;
mod idempotency;
pub mod limiter;
mod metrics;
pub mod probe;
mod ready;
mod refusal;
pub mod tls;
mod usage;

pub use ready::is_alive;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use desk::Desk;
use refusal::Refusal;

use crate::db::target::Target;
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::scheduler::vitals::Vitals;

/// How the API is served.
#[derive(Clone)]
pub struct Settings {
    /// Requests a second that one token may send.
    pub rate: u32,
    /// None: plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Answers until `shutdown` asks for the end now: while runs end after the first signal, `/readyz` says so.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    target: Arc<Target>,
    vitals: Arc<Vitals>,
    settings: Settings,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let desk = Desk::new(target, vitals, settings.rate, shutdown.clone());
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
        .route("/metrics", get(metrics_page))
        .route("/openapi.json", get(openapi))
        .merge(agent::routes())
        .merge(usage::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .with_state(desk);
    let end = async move { shutdown.at_least(Urgency::Now).await };
    match settings.tls {
        None => axum::serve(listener, router).with_graceful_shutdown(end).await,
        Some(config) => {
            let listener = tls::TlsListener::new(listener, config)?;
            axum::serve(listener, router).with_graceful_shutdown(end).await
        }
    }
}

/// Opens the address to listen on; port 0 picks one. Returns where it listens.
///
/// # Errors
///
/// When the address is taken or not ours.
pub async fn open(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Whether the main loop goes round. No database is asked: one that is away is no reason to kill the worker.
async fn livez(State(desk): State<Desk>) -> impl IntoResponse {
    if ready::is_alive(&desk.vitals.snapshot()) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the main loop does not go round\n")
    }
}

/// Whether rollups are kept current here; `?verbose` says what was looked at.
async fn readyz(State(desk): State<Desk>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let checks = desk.ready.checks(&desk.vitals.snapshot()).await;
    let is_ready = checks.iter().all(|check| check.problem.is_none());
    let is_verbose = query.is_some_and(|query| query.split('&').any(|word| word.starts_with("verbose")));
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = String::new();
    for check in checks.iter().filter(|check| is_verbose || check.problem.is_some()) {
        match &check.problem {
            None => body.push_str(&format!("[+] {}\n", check.name)),
            Some(problem) => body.push_str(&format!("[-] {}: {problem}\n", check.name)),
        }
    }
    body.push_str(if is_ready { "ready\n" } else { "not ready\n" });
    (status, body)
}

async fn unknown_path() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path; /openapi.json says what there is")
}

async fn unknown_method() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method; /openapi.json says which")
}

async fn version() -> impl IntoResponse {
    let body =
        serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "schema": crate::db::schema::VERSION});
    ([(header::CONTENT_TYPE, "application/json")], body.to_string())
}

/// The API's description, as it is in `docs/`; a test holds it against the routes and the documents.
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../docs/openapi.json"))
}

async fn metrics_page(State(desk): State<Desk>) -> impl IntoResponse {
    let view = desk.ready.view().await;
    let page = metrics::render(&desk.vitals.snapshot(), view.as_ref());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
}
