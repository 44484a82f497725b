//! Rollups: definitions, the SQL rendered from them, and the work of filling, draining and proving them.
//!
//! Definition (TOML) → [`render`] → objects in the database ([`install`]). Writers leave marks; [`drain`] and
//! [`backfill`] call the rendered functions, each call one unit of work in one transaction; [`verify`] compares.

pub mod alter;
pub mod backfill;
pub mod backlog;
pub mod combine;
pub mod definition;
mod dependents;
pub mod diff;
pub mod draft;
pub mod drain;
pub mod drop;
pub mod error;
pub mod estimate;
pub mod explain;
mod forget;
pub mod install;
pub mod keep;
pub mod ledger;
mod live;
pub mod lock;
pub mod mark;
pub mod measure;
pub mod name;
pub mod pause;
mod portion;
pub mod prune;
pub mod quote;
pub mod read;
pub mod relation;
pub mod render;
pub mod renew;
pub mod script;
pub mod shape;
pub mod source;
pub mod status;
mod stop;
mod swap;
pub mod throttle;
pub mod verify;
pub mod watch;
mod watched;

pub use error::{RollupError, UsageError};
pub use name::RollupName;
