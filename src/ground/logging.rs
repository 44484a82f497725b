//! Logs go to stderr, data to stdout. `HIGHWATER_LOG` takes the usual filter syntax (`info`, `highwater=debug`).

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::{Subscriber, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::ground::config;
#[cfg(feature = "otlp")]
use crate::ground::trace;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// One JSON object a line.
    Json,
}

/// The process's filter, once there is a log writer.
static CONTROL: OnceLock<Control> = OnceLock::new();

struct Control {
    /// What the command line says.
    default: &'static str,
    handle: reload::Handle<EnvFilter, Registry>,
}

/// Environment variable that overrules every other filter.
const VARIABLE: &str = "HIGHWATER_LOG";

/// Installs the process's log writer; `verbosity` counts `-v` and is overruled by `HIGHWATER_LOG`. A process that
/// `is_traced` also sends traces, where the environment says so; [`end`] is to be called at its end.
pub fn init(verbosity: u8, form: Form, is_traced: bool) {
    let default = match verbosity {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = config::env(VARIABLE).unwrap_or_else(|| default.to_owned());
    let (filter, handle) = reload::Layer::new(EnvFilter::new(filter));
    let colour = std::io::stderr().is_terminal() && config::env("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match form {
        Form::Text => Box::new(lines.with_ansi(colour)),
        Form::Json => Box::new(lines.with_ansi(false).json().flatten_event(true)),
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    let complaint = begin(registry, is_traced);
    // The first writer stays: a second one would have panicked above.
    let _ = CONTROL.set(Control { default, handle });
    if let Some(complaint) = complaint {
        warn!("nothing is traced: {complaint}");
    }
}

/// Installs the subscriber, with traces if they are wanted; says why they cannot be had.
#[cfg(feature = "otlp")]
fn begin<S>(registry: S, is_traced: bool) -> Option<String>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let (tracer, complaint) = match if is_traced { trace::begin() } else { Ok(None) } {
        Ok(tracer) => (tracer, None),
        Err(complaint) => (None, Some(complaint)),
    };
    registry.with(tracer.map(trace::layer)).init();
    complaint
}

/// As above, in a build without traces.
#[cfg(not(feature = "otlp"))]
fn begin<S>(registry: S, is_traced: bool) -> Option<String>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    registry.init();
    let wanted =
        config::env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or(config::env("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let lacks = "this build has no OTLP; \"cargo build --features otlp\" makes one that has";
    (is_traced && wanted.is_some()).then(|| lacks.to_owned())
}

/// Sends the last traces, if there are any.
pub fn end() {
    #[cfg(feature = "otlp")]
    trace::end();
}

/// Changes the filter while the process runs; `None` goes back to what the command line says. `HIGHWATER_LOG` overrules
/// both.
///
/// # Errors
///
/// What is wrong with the filter; then it stays as it was.
pub fn set_filter(filter: Option<&str>) -> Result<(), String> {
    let Some(control) = CONTROL.get() else { return Ok(()) };
    let filter = config::env(VARIABLE).or_else(|| filter.map(str::to_owned));
    let filter = read(filter.as_deref().unwrap_or(control.default))?;
    control.handle.reload(filter).map_err(|error| error.to_string())
}

/// Whether a filter can be understood.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(filter: &str) -> Result<(), String> {
    read(filter).map(drop)
}

fn read(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter)
        .map_err(|error| format!("\"{filter}\" is no filter: {error}; try \"info\" or \"highwater=debug\""))
}
