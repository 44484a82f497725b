//! The demonstration: an application with a history goes through the upgrade of `examples/upgrade`.
//!
//! Its files are embedded, so that it runs anywhere; its events are generated, or a real history from a CSV file.

pub mod application;
pub mod database;
pub mod events;
pub mod numbers;

pub use error::DemoError;

mod error;
