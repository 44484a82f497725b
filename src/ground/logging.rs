//! Logs go to stderr, data to stdout. `HIGHWATER_LOG` takes the usual filter syntax (`info`, `highwater=debug`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::ground::config;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// One JSON object a line.
    Json,
}

/// Installs the process's log writer; `verbosity` counts `-v` and is overruled by `HIGHWATER_LOG`.
pub fn init(verbosity: u8, form: Form) {
    let default = match verbosity {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = config::env("HIGHWATER_LOG").unwrap_or_else(|| default.to_owned());
    let colour = std::io::stderr().is_terminal() && config::env("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false);
    match form {
        Form::Text => builder.init(),
        Form::Json => builder.json().flatten_event(true).init(),
    }
}
