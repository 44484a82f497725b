//! What runs on a backup host: runs as graphs of actions, their archives, and an outbox that loses no report. It needs
//! no database; it speaks HTTP with a worker.

pub mod archive;
pub mod by_hand;
pub mod client;
mod clock;
pub mod config;
pub mod doctor;
pub mod duty;
pub mod enrol;
mod error;
pub mod forecast;
pub mod gate;
pub mod graph;
mod journal;
pub mod outbox;
mod process;
pub mod replay;
pub mod restic;
pub mod run;
pub mod settings;
pub mod status;
mod tree;

pub use clock::HostClock;
pub use error::AgentError;
