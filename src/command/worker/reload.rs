//! SIGHUP: the worker reads its configuration file again.

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use crate::ground::logging;
use crate::scheduler::SchedulerError;
use crate::scheduler::settings::{Limits, Settings};

/// The file, and the flags, which overrule it.
pub struct Source {
    pub file: Option<PathBuf>,
    pub concurrency: Option<u16>,
    pub drain_timeout: Option<Duration>,
    pub allow_commands: bool,
}

impl Source {
    /// Reads the file, sets the log's filter, and says how the worker is to work.
    ///
    /// # Errors
    ///
    /// As [`Settings::read`]; then nothing was changed.
    pub fn read(&self) -> Result<Limits, SchedulerError> {
        let settings = self.file.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
        logging::set_filter(settings.log.as_deref()).map_err(SchedulerError::Invalid)?;
        let limits = Limits::default();
        let concurrency = self.concurrency.or(settings.concurrency);
        Ok(Limits {
            concurrency: concurrency.map_or(limits.concurrency, usize::from),
            drain_timeout: self.drain_timeout.or(settings.drain_timeout).unwrap_or(limits.drain_timeout),
            allows_commands: self.allow_commands || settings.allow_commands.unwrap_or(limits.allows_commands),
        })
    }

    /// Reads the file again at each SIGHUP, for the rest of the process's life. A file that cannot be understood changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// When the operating system refuses a signal handler.
    pub fn keep(self, limits: watch::Sender<Limits>) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                if self.file.is_none() {
                    info!(
                        "asked to read the configuration again, but there is none: the worker began without --config"
                    );
                    continue;
                }
                match self.read() {
                    Ok(read) => {
                        info!(
                            concurrency = read.concurrency,
                            drain_timeout_ms =
                                u64::try_from(read.drain_timeout.as_millis()).unwrap_or(u64::MAX),
                            allow_commands = read.allows_commands,
                            "read the configuration again"
                        );
                        limits.send_replace(read);
                    }
                    Err(reason) => {
                        error!(error = %reason, "the configuration stays as it is, the new one is bad: {reason}");
                    }
                }
            }
        });
        Ok(())
    }
}
