//! Upgrades: migration files, what their heads ask for, the run under its lock, and what it leaves recorded.
//!
//! Files flow in, embedded or from an application's folder ([`setup`]); [`up`] brings the database to them, one
//! version at a time: estimate, hook, verify, guard, then the migration and its history row in one transaction.
//! [`plan`], [`status`] and [`verify`] look and touch nothing. Two invariants: a version is recorded if and only if its
//! statements took effect, and only the holder of the run's lock commits anything.
//!
//! refinery gives the file format, the history table, the checksum and the last word on what may be applied
//! (`driver.rs`); it has no lock, no hooks and no way to run outside a transaction, and those are here.

pub mod directive;
pub mod directory;
pub mod event;
pub mod file;
pub mod hook;
pub mod name;
pub mod own;
pub mod plan;
pub mod problem;
pub mod scope;
pub mod setup;
pub mod statement;
pub mod status;
pub mod token;
pub mod up;
pub mod verify;

mod apply;
mod concurrent;
mod ddl;
mod drift;
mod driver;
mod engine;
mod error;
mod goal;
mod guard;
mod history;
mod index;
mod ledger;
mod lock;
mod outside;
mod probe;
mod require;
mod standing;

pub use drift::{Change, Drift};
pub use engine::{Renewed, RollupEngine};
pub use error::MigrateError;
pub use lock::{RunLock, Wait};
pub use probe::Pooler;
pub use require::Rollups;
