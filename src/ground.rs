//! What every wing stands on: exit codes, configuration from the environment, calendar arithmetic, logging, signals.

pub mod clock;
pub mod config;
pub mod digits;
pub mod exit;
pub mod logging;
pub mod month;
pub mod shutdown;
