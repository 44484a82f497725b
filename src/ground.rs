//! What every wing stands on: exit codes, configuration from the environment, calendar arithmetic, logging, signals,
//! and the documents that agents and servers exchange.

pub mod boot;
pub mod clock;
pub mod config;
pub mod cron;
pub mod digits;
pub mod exit;
pub mod fault;
pub mod host;
pub mod http;
pub mod logging;
pub mod month;
pub mod shutdown;
#[cfg(feature = "otlp")]
pub mod trace;
pub mod wire;
