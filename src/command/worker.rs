//! `highwater worker`: keeps rollups current and runs jobs until it is told to end.

mod reload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::api::{self, Settings, limiter::DEFAULT_RATE};
use crate::cli::Global;
use crate::db::target::Target;
use crate::ground::config;
use crate::ground::exit::Exit;
use crate::ground::host;
use crate::ground::logging::Form;
use crate::ground::shutdown::{Shutdown, Urgency};
use crate::rollup::UsageError;
use crate::scheduler::settings::MOST_CONCURRENCY;
use crate::scheduler::vitals::Vitals;
use crate::scheduler::worker::{self, End, Options};

/// Keep every rollup exact within seconds, and run jobs when they are due
///
/// Start one on as many machines as you like. SIGTERM lets runs in hand end, a second one ends them now; either way they
/// give their attempts back. SIGHUP reads the file of --config again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "HTTP: /livez, /readyz?verbose, /version, /metrics; /v1/agent/... and /v1/usage with a host's token; /openapi.json says all.

A configuration file may say, in TOML; flags overrule it, and HIGHWATER_LOG its log:
  concurrency = 64
  drain_timeout = \"30s\"
  allow_commands = false
  log = \"info\"

Behind a transaction pooler, HIGHWATER_DIRECT_URL names the same database without it: one connection listens there, so
that \"job run-now\" is taken at once. Without it the worker finds such plans by polling, within a second.

Exit codes: 0 ended when asked; 3 the schema is not this build's; 130 cut short by a second signal."
)]
pub struct Args {
    /// Where to answer HTTP; port 0 picks a free one and logs it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9187")]
    listen: SocketAddr,
    /// Configuration file, in TOML; see below
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long runs in hand may take to end after SIGTERM [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    drain_timeout: Option<Duration>,
    /// Runs at once; the drain of each rollup is one, all the time [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_CONCURRENCY)))]
    concurrency: Option<u16>,
    /// Certificate with its chain (PEM): answer HTTPS instead of HTTP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Requests a second that one token may send
    #[arg(long, value_name = "N", default_value_t = DEFAULT_RATE, value_parser = clap::value_parser!(u32).range(1..))]
    rate_limit: u32,
    /// Take jobs that start programs. Whoever may write to highwater.job then runs programs here, as this user
    #[arg(long)]
    allow_commands: bool,
    /// How the log is written to stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    /// One JSON object a line
    Json,
}

impl Args {
    /// How the log is to look.
    pub fn log_format(&self) -> Form {
        match self.log_format {
            LogFormat::Text => Form::Text,
            LogFormat::Json => Form::Json,
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// When the configuration is bad, the address cannot be listened on, or the schema is not this build's.
pub async fn run(global: &Global, args: Args, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let source = reload::Source {
        file: args.config,
        concurrency: args.concurrency,
        drain_timeout: args.drain_timeout,
        allow_commands: args.allow_commands,
    };
    let (sender, limits) = watch::channel(source.read()?);
    source.keep(sender).context("cannot listen for SIGHUP")?;
    let target = Arc::new(global.target().await?);
    let vitals = Arc::new(Vitals::default());
    let (listener, address) =
        api::open(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(api::tls::read(certificate, key).map_err(UsageError)?),
        _ => None,
    };
    if tls.is_none() && !address.ip().is_loopback() {
        warn!(%address, "tokens cross the network unencrypted; give --tls-cert and --tls-key, or put a proxy in front");
    }
    info!(%address, "listening on {address}");
    let http = tokio::spawn(api::serve(
        listener,
        Arc::clone(&target),
        Arc::clone(&vitals),
        Settings { rate: args.rate_limit, tls },
        shutdown.clone(),
    ));
    let supervisor = tokio::spawn(supervise(Arc::clone(&vitals), shutdown.clone()));
    let options = Options { limits, host: host::name(), listens_at: direct()?, program: Arc::default() };
    let end = worker::run(target, options, vitals, shutdown).await;
    supervisor.abort();
    http.abort();
    Ok(match end? {
        End::Cut if shutdown.urgency() == Urgency::Now => Exit::Interrupted,
        End::Cut | End::Drained => Exit::Done,
    })
}

/// Names the same database without its pooler. No flag, for it may hold a password.
const DIRECT_VARIABLE: &str = "HIGHWATER_DIRECT_URL";

fn direct() -> anyhow::Result<Option<Arc<Target>>> {
    let url = config::env(DIRECT_VARIABLE);
    Ok(url.map(|url| Target::from_url(&url, DIRECT_VARIABLE)).transpose()?.map(Arc::new))
}

/// Tells a service manager how the worker is: ready when the database has answered, alive while the loop goes round.
async fn supervise(vitals: Arc<Vitals>, shutdown: Shutdown) {
    let tell = |state: NotifyState| {
        if let Err(error) = sd_notify::notify(&[state]) {
            warn!(error = %error, "the service manager cannot be told");
        }
    };
    let period = sd_notify::watchdog_enabled();
    let step = period.map_or(Duration::from_secs(1), |period| (period / 3).min(Duration::from_secs(1)));
    let mut is_ready = false;
    while !shutdown.is_requested() {
        let vitals = vitals.snapshot();
        if !is_ready && vitals.reached.is_some() {
            is_ready = true;
            tell(NotifyState::Ready);
        }
        // While the database is away the loop goes round too; only one that hangs is to be restarted.
        if period.is_some() && api::is_alive(&vitals) {
            tell(NotifyState::Watchdog);
        }
        tokio::select! {
            () = tokio::time::sleep(step) => {}
            () = shutdown.at_least(Urgency::Soon) => {}
        }
    }
    tell(NotifyState::Stopping);
    while period.is_some() {
        tell(NotifyState::Watchdog);
        tokio::time::sleep(step).await;
    }
}
