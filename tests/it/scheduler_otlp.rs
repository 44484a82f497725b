//! Traces: what a collector receives of runs and passes, and what a collector that is away does to a worker: nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highwater::db::Executor;
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::scheduler_site::{bare, migrated, until};
use crate::support::TestDb;
use crate::support::eventually::eventually;
use crate::support::program::{Running, command, highwater, start};

/// One field of a protobuf message: its number, and its bytes or its number as bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint<'a>(bytes: &mut &'a [u8]) -> (u64, &'a [u8]) {
        let length = bytes.iter().position(|byte| byte & 0x80 == 0).expect("a whole number") + 1;
        let (number, rest) = bytes.split_at(length);
        *bytes = rest;
        let value = number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
        (value, number)
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message).0;
        let length = match tag & 7 {
            0 => {
                found.push((tag >> 3, varint(&mut message).1));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message).0).unwrap(),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (value, rest) = message.split_at(length);
        found.push((tag >> 3, value));
        message = rest;
    }
    found
}

fn under(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter(move |field| field.0 == number).map(|field| field.1)
}

/// A span, or a resource, in words: its name and its attributes that are texts or numbers.
#[derive(Debug, Clone)]
struct Told {
    name: String,
    attributes: Vec<(String, String)>,
    is_error: bool,
    has_parent: bool,
}

impl Told {
    fn of(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|attribute| attribute.0 == name);
        found.map_or("", |attribute| attribute.1.as_str())
    }
}

fn attributes(message: &[u8], number: u64) -> Vec<(String, String)> {
    under(message, number)
        .map(|attribute| {
            let key = String::from_utf8(under(attribute, 1).next().unwrap().to_vec()).unwrap();
            let value = under(attribute, 2).next().map(fields).unwrap_or_default();
            let text = value.first().map_or(String::new(), |(kind, bytes)| match kind {
                1 => String::from_utf8_lossy(bytes).into_owned(),
                _ => format!("{bytes:?}"),
            });
            (key, text)
        })
        .collect()
}

/// An endpoint for traces.
struct Collector {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    spans: Arc<Mutex<Vec<Told>>>,
}

impl Collector {
    /// Answers every request with `status`, or not at all.
    async fn start(status: Option<u16>) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let collector = Collector { port, heads: Arc::default(), spans: Arc::default() };
        let (heads, spans) = (Arc::clone(&collector.heads), Arc::clone(&collector.spans));
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(status) = status else {
                    kept.push(stream);
                    continue;
                };
                let mut bytes = Vec::new();
                let whole = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, _)) = text.split_once("\r\n\r\n") {
                        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                        let length: usize = length.expect("a length").parse().unwrap();
                        if bytes.len() >= head.len() + 4 + length {
                            break head.to_owned();
                        }
                    }
                    assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "a whole request");
                };
                // The head is ASCII, so that its length in characters is that in bytes.
                take(&bytes[whole.len() + 4..], &spans);
                heads.lock().unwrap().push(whole);
                let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        collector
    }

    fn worker(&self, db: &TestDb) -> Running {
        let mut traced = command(&["worker", "--listen", "127.0.0.1:0"]);
        traced
            .env("DATABASE_URL", db.url())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")
            .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
            .env("OTEL_BSP_SCHEDULE_DELAY", "100");
        start(&mut traced)
    }

    async fn span(&self, what: &str, is_wanted: impl Fn(&Told) -> bool) -> Told {
        eventually(what, || self.spans.lock().unwrap().iter().find(|span| is_wanted(span)).cloned()).await
    }
}

/// Reads an ExportTraceServiceRequest: resources, in them scopes, in them spans.
fn take(body: &[u8], told: &Mutex<Vec<Told>>) {
    for of_resource in under(body, 1) {
        let resource = under(of_resource, 1).next().expect("a resource");
        let resource = Told {
            name: "resource".to_owned(),
            attributes: attributes(resource, 1),
            is_error: false,
            has_parent: false,
        };
        told.lock().unwrap().push(resource);
        for span in under(of_resource, 2).flat_map(|scope| under(scope, 2)) {
            let status = under(span, 15).next().map(fields).unwrap_or_default();
            told.lock().unwrap().push(Told {
                name: String::from_utf8(under(span, 5).next().unwrap().to_vec()).unwrap(),
                attributes: attributes(span, 9),
                is_error: status.contains(&(3, &[2])),
                has_parent: under(span, 4).any(|parent| !parent.is_empty()),
            });
        }
    }
}

#[tokio::test]
async fn runs_and_passes_that_found_something_arrive_at_a_collector() {
    let db = migrated().await;
    let function =
        "CREATE FUNCTION fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no luck'; END $$";
    db.session().await.batch(function).await.unwrap();
    highwater(&db, &["job", "add", "bad", "--every", "1d", "--function", "fails"]).await.success();
    let collector = Collector::start(Some(200)).await;
    let worker = collector.worker(&db);
    until(&db, "SELECT count(*) FROM highwater.plan WHERE job = 'drain' AND scope = 'usage_hourly' AND state = 'running'").await;
    let event =
        "INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model)
        VALUES ('one', 'a-tenant-that-nobody-may-see', now(), 'r', 'a', 'p', 'm')";
    db.session().await.batch(event).await.unwrap();
    let pass = collector.span("a pass", |span| span.name == "pass").await;
    assert_eq!(
        (pass.of("rollup"), pass.of("marks"), pass.has_parent),
        ("usage_hourly", "[1]", true),
        "{pass:?}"
    );
    highwater(&db, &["job", "run-now", "bad"]).await.success();
    let bad = collector.span("a run that failed", |span| span.name == "run bad").await;
    assert_eq!((bad.of("outcome"), bad.is_error, bad.has_parent), ("failed", true, false), "{bad:?}");
    assert!(bad.of("error").contains("no luck"), "{bad:?}");
    let resource = collector.span("a resource", |span| span.name == "resource").await;
    assert_eq!(resource.of("service.name"), "highwater-worker");
    assert_eq!(resource.of("deployment.environment"), "test");
    let head = collector.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("authorization: Bearer secret") && head.contains("application/x-protobuf"),
        "{head}"
    );
    // The drain's run ends with the worker: the last spans are sent, too.
    worker.signal(Signal::SIGTERM);
    let ended = worker.ended().await.success();
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    let drain = |span: &Told| span.name == "run drain" && span.of("scope") == "usage_hourly";
    assert_eq!(collector.span("the drain's run", drain).await.of("outcome"), "stopped");
    let spans = collector.spans.lock().unwrap();
    assert!(spans.iter().all(|span| span.name != "pass" || !span.of("marks").is_empty()), "{spans:?}");
    assert!(!format!("{spans:?}").contains("a-tenant-that-nobody-may-see"), "{spans:?}");
}

#[tokio::test]
async fn a_collector_that_refuses_is_silent_or_gone_hurts_no_worker() {
    let gone = Collector { port: 1, heads: Arc::default(), spans: Arc::default() };
    for (collector, words) in [
        (
            Collector::start(Some(503)).await,
            Some("does not take traces, which are lost meanwhile: status 503"),
        ),
        (Collector::start(None).await, None),
        (gone, Some("does not take traces, which are lost meanwhile: Connection refused")),
    ] {
        let db = bare().await;
        highwater(&db, &["job", "add", "work", "--every", "1d", "--function", "work"]).await.success();
        let worker = collector.worker(&db);
        for number in 1..=3 {
            highwater(&db, &["job", "run-now", "work"]).await.success();
            until(&db, &format!("SELECT (count(*) = {number})::int::bigint FROM effect")).await;
        }
        if let Some(words) = words {
            worker.tells(words).await;
        }
        worker.signal(Signal::SIGTERM);
        let asked = Instant::now();
        let ended = worker.ended().await.success();
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        assert!(ended.stderr.matches("does not take traces").count() <= 1, "said once: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_is_said_and_the_worker_works() {
    let db = bare().await;
    for (name, value, words) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "only http/protobuf is spoken"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "no number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem", "/nowhere.pem"),
    ] {
        let mut traced = command(&["worker", "--listen", "127.0.0.1:0"]);
        traced.env("DATABASE_URL", db.url()).env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        let worker = start(traced.env(name, value));
        assert!(worker.tells("nothing is traced: ").await.contains(words));
        worker.tells("is at work").await;
        worker.signal(Signal::SIGTERM);
        worker.ended().await.success();
    }
}
