//! What of the ended spans is sent, and under which name: drains look once a second, and whoever reads traces wants to see
//! the passes that found something.

use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};
use opentelemetry_sdk::{Resource, trace};

/// Span of one pass of a drain; it has marks if it found any.
const PASS: &str = "pass";

/// Span of a run.
const RUN: &str = "run";

/// Stands before the queue.
#[derive(Debug)]
pub struct Sieve {
    batches: BatchSpanProcessor,
}

impl Sieve {
    pub fn before(batches: BatchSpanProcessor) -> Sieve {
        Sieve { batches }
    }
}

impl SpanProcessor for Sieve {
    fn on_start(&self, span: &mut Span, context: &Context) {
        trace::SpanProcessor::on_start(&self.batches, span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        let attribute = |span: &SpanData, name: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name)?;
            Some(found.value.clone())
        };
        if span.name == PASS && attribute(&span, "marks").is_none() {
            return;
        }
        if span.name == RUN {
            if let Some(Value::String(job)) = attribute(&span, "job") {
                span.name = format!("run {job}").into();
            }
            if let Some(error) = attribute(&span, "error") {
                span.status = Status::error(error.to_string());
            }
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}
