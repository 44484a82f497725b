//! Traces of a worker's runs and of their passes, sent by OTLP (http/protobuf) to where the usual `OTEL_*` variables say.
//!
//! Spans are queued, at most so many, and sent by a thread of their own: an endpoint that is slow or away costs spans and
//! never a run. Without an endpoint nothing is traced.

mod courier;
mod sieve;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, layer};

use super::config;
use courier::Courier;
use sieve::Sieve;

/// Where traces go, the more particular first.
pub const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// What the traces are said to be of, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "highwater-worker";

/// How long the last spans may take to be sent when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Begins to send traces, if the environment names an endpoint.
///
/// # Errors
///
/// What of the environment cannot be followed; then nothing is traced.
pub fn begin() -> Result<Option<SdkTracer>, String> {
    let is_off = config::env("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
        || config::env("OTEL_TRACES_EXPORTER").is_some_and(|text| text.trim() == "none");
    if is_off || variable(ENDPOINTS).is_none() {
        return Ok(None);
    }
    if let Some(protocol) = variable(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
        && protocol.trim() != "http/protobuf"
    {
        return Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is \"{protocol}\", and only http/protobuf is spoken; set that, and an endpoint that \
             takes it, usually of port 4318"
        ));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Courier::from_environment()?)
        .build()
        .map_err(|error| error.to_string())?;
    let mut resource = Resource::builder();
    if config::env("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let batches = BatchSpanProcessor::builder(exporter).build();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_span_processor(Sieve::before(batches))
        .build();
    let tracer = provider.tracer("highwater");
    // The first one stays; logging begins once.
    let _ = PROVIDER.set(provider);
    Ok(Some(tracer))
}

/// The layer that turns our own spans into traces, whatever the log's filter says.
pub fn layer<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let own = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("highwater"));
    let layer: OpenTelemetryLayer<S, SdkTracer> = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    layer::Layer::with_filter(layer, own.and(LevelFilter::INFO))
}

/// Sends what is left; an endpoint that does not take it is not waited for.
pub fn end() {
    if let Some(provider) = PROVIDER.get() {
        // Whatever went wrong was told by the courier.
        let _ = provider.shutdown_with_timeout(FAREWELL);
    }
}

/// The first of two variables that is set.
fn variable(names: [&str; 2]) -> Option<String> {
    names.into_iter().find_map(config::env)
}
