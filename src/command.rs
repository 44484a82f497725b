//! One file per subcommand: flags, one call, printing. No SQL, no decisions.

pub mod alarms;
pub mod backfill;
pub mod catchups;
pub mod demo;
pub mod groups;
pub mod health;
pub mod hosts;
pub mod job;
pub mod jobs;
mod mark;
mod meter;
pub mod migrate;
pub mod outbox;
pub mod plans;
pub mod postgres;
mod progress;
pub mod prune;
mod read;
pub mod rollup;
pub(crate) mod say;
pub mod schedules;
pub mod slots;
pub mod status;
mod table;
mod teller;
mod when;
pub mod worker;
