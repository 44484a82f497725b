//! What runs on a backup host: an outbox that loses no report. It needs no database; it speaks HTTP with a worker.

mod error;
pub mod outbox;

pub use error::AgentError;
