//! The rollup engine against a real Postgres. Every comparison is of whole rows with a plain GROUP BY over the source.

mod ageing;
mod ageing_history;
mod ahead;
mod backfill;
mod backfill_kill;
mod backfill_turns;
mod capture;
mod capture_odd;
mod commits;
mod definition;
mod drain;
mod drain_hold;
pub mod field;
mod history;
mod hook;
mod hot;
mod install;
mod kinds;
mod status;
mod strangers;
mod throttle;
mod verify;
mod watched;
mod watched_shapes;
mod watermark;
mod window;
