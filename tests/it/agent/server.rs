//! A server for agents that answers as it is told: it keeps events by their id, as a real one does, and can fail in
//! every way that a network or a real one fails.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What the server does with the next request for events.
#[derive(Debug, Clone)]
pub enum Script {
    /// A status, with Retry-After and a body.
    Status(u16, Option<u64>, &'static str),
    /// Takes the events and breaks the connection instead of answering.
    ApplyAndBreak,
    /// A page with status 200, as of a hotel's network.
    Page,
}

#[derive(Default)]
pub struct Inner {
    /// Bodies of events by their id, in the order of their arrival.
    pub events: Vec<Value>,
    pub script: VecDeque<Script>,
    /// Verdict for an event by its place in the host's order; `fall` makes the server fall over it.
    pub verdicts: BTreeMap<i64, &'static str>,
    pub batches: Vec<usize>,
    pub requests: Vec<(String, HeaderMap, String)>,
    /// What it hands out.
    pub work: Vec<Value>,
    pub config: Option<Value>,
    /// Status of fires and of leases.
    pub fires: u16,
    pub leases: u16,
    /// The only token that is taken.
    pub token: Option<String>,
}

/// A server that listens until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub inner: Arc<Mutex<Inner>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start() -> Server {
        Server::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn start_at(address: SocketAddr) -> Server {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner { fires: 201, leases: 200, ..Inner::default() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Server { address, inner, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn script(&self, scripts: impl IntoIterator<Item = Script>) {
        self.inner.lock().unwrap().script.extend(scripts);
    }

    /// Numbers of the events that it has, in the order of their arrival.
    pub fn seqs(&self) -> Vec<i64> {
        self.inner.lock().unwrap().events.iter().map(|event| event["seq"].as_i64().unwrap()).collect()
    }

    pub fn kinds(&self) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        inner.events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (path, text) = (uri.path().to_owned(), String::from_utf8_lossy(&body).into_owned());
    let is_work = path == "/v1/agent/work";
    {
        let mut inner = inner.lock().unwrap();
        inner.requests.push((format!("{method} {path}"), headers.clone(), text.clone()));
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(token) = &inner.token
            && bearer != format!("Bearer {token}")
            && path != "/v1/agent/enrol"
        {
            return problem(401, "the token is not known");
        }
        match path.as_str() {
            "/v1/agent/enrol" => {
                let asked: Value = serde_json::from_str(&text).unwrap();
                if asked["code"] != "c0de" {
                    return problem(403, "the code is not known");
                }
                let id = "01980000-0000-7000-8000-000000000001";
                return json_answer(&json!({"host": id, "name": "laptop", "token": "t0ken"}));
            }
            "/v1/agent/hello" => {
                let now: chrono::DateTime<chrono::Utc> = std::time::SystemTime::now().into();
                let rev = inner.config.as_ref().map_or(json!(0), |config| config["rev"].clone());
                return json_answer(&json!({"server_time": now, "config_rev": rev, "leases": []}));
            }
            "/v1/agent/config" => {
                return match &inner.config {
                    Some(config) => json_answer(config),
                    None => problem(404, "no configuration"),
                };
            }
            "/v1/agent/fires" => {
                let status = inner.fires;
                let body = json!({"run": "01980000-0000-7000-8000-000000000009", "state": "waiting"});
                return (StatusCode::from_u16(status).unwrap(), json_answer(&body)).into_response();
            }
            "/v1/agent/work" if !inner.work.is_empty() => {
                let work = std::mem::take(&mut inner.work);
                return json_answer(&json!({"work": work}));
            }
            "/v1/agent/events" => return events(&mut inner, &text),
            _ if path.ends_with("/lease") => {
                return match inner.leases {
                    200 => json_answer(&json!({"lease_until": "2100-01-01T00:00:00Z", "cancel": false})),
                    status => problem(status, "the lease is another's"),
                };
            }
            _ => {}
        }
    }
    if is_work {
        // The wait of a long poll, a short one.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        return json_answer(&json!({"work": []}));
    }
    json_answer(&json!({}))
}

fn events(inner: &mut Inner, text: &str) -> Response {
    let body: Value = serde_json::from_str(text).unwrap();
    let sent = body["events"].as_array().unwrap();
    inner.batches.push(sent.len());
    let script = inner.script.pop_front();
    match script {
        Some(Script::Status(status, retry_after, body)) => {
            let mut answer =
                Response::builder().status(status).header(header::CONTENT_TYPE, "application/problem+json");
            if let Some(seconds) = retry_after {
                answer = answer.header(header::RETRY_AFTER, seconds.to_string());
            }
            if (300..400).contains(&status) {
                answer = answer.header(header::LOCATION, "/v1/elsewhere");
            }
            return answer.body(Body::from(body)).unwrap();
        }
        Some(Script::Page) => {
            return ([(header::CONTENT_TYPE, "text/html")], "<html>please log in</html>").into_response();
        }
        Some(Script::ApplyAndBreak) | None => {}
    }
    let verdict_of = |event: &Value| inner.verdicts.get(&event["seq"].as_i64().unwrap()).copied();
    if sent.iter().any(|event| verdict_of(event) == Some("fall")) {
        return problem(500, "fell over");
    }
    let mut verdicts = Vec::new();
    for event in sent {
        let is_known = inner.events.iter().any(|one| one["event_id"] == event["event_id"]);
        let verdict = match verdict_of(event) {
            Some(verdict) => verdict,
            None if is_known => "duplicate",
            None => "applied",
        };
        if verdict == "applied" {
            inner.events.push(event.clone());
        }
        verdicts.push(json!({"event_id": event["event_id"], "verdict": verdict, "detail": verdict}));
    }
    if matches!(script, Some(Script::ApplyAndBreak)) {
        // A body that fails ends the connection in the middle of the answer.
        let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
        return Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from_stream(broken))
            .unwrap();
    }
    json_answer(&json!({"verdicts": verdicts}))
}

fn json_answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn problem(status: u16, words: &str) -> Response {
    let body = json!({"type": "about:blank", "title": words, "status": status}).to_string();
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/problem+json")], body)
        .into_response()
}
