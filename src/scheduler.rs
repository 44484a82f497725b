//! The scheduler: jobs, the ledger of their plans, and workers that run plans under fenced leases.
//!
//! There is no leader. Every worker does the same: [`materialise`] puts due plan times on the ledger (what is to run is
//! decided by the pure [`planner`]), [`claim`] takes plans under leases with rising tokens, [`heartbeat`] renews them,
//! [`run`] lets a handler work, [`finish`] ends the run if the lease is still ours, and [`sweep`] takes leases away from
//! workers that have gone quiet. Which run may write is decided by the database alone: every write of a run begins with
//! the fence, a lock on its lease row.

pub mod builtin;
pub mod call;
pub mod claim;
pub mod clip;
pub mod code;
pub mod command;
pub mod embed;
pub mod error;
pub mod finish;
pub mod function;
pub mod handler;
pub mod heartbeat;
pub mod histogram;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod materialise;
pub mod outcome;
pub mod pace;
pub mod planner;
pub mod prune;
pub mod run;
pub mod sessions;
pub mod settings;
pub mod state;
pub mod sweep;
pub mod timing;
pub mod vitals;
pub mod worker;

pub use error::SchedulerError;
