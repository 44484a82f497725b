//! Logs go to stderr, data to stdout. `HIGHWATER_LOG` takes the usual filter syntax (`info`, `highwater=debug`).

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::ground::config;

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

/// Installs the process's log writer; `verbosity` counts `-v` and is overruled by `HIGHWATER_LOG`.
pub fn init(verbosity: u8, form: Form) {
    let default = match verbosity {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = config::env(VARIABLE).unwrap_or_else(|| default.to_owned());
    let (filter, handle) = reload::Layer::new(EnvFilter::new(filter));
    let colour = std::io::stderr().is_terminal() && config::env("NO_COLOR").is_none();
    let text = (form == Form::Text)
        .then(|| fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false));
    let json = (form == Form::Json).then(|| {
        fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .with_target(false)
            .json()
            .flatten_event(true)
    });
    tracing_subscriber::registry().with(filter).with(text).with(json).init();
    // The first writer stays: a second one would have panicked above.
    let _ = CONTROL.set(Control { default, handle });
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
