//! highwater keeps exact hourly rollups, and the upgrades that depend on them, inside the Postgres that a team
//! already runs. `docs/ARCHITECTURE.md` draws how data flows; the wings below import only downward.

pub mod agent;
pub mod api;
pub mod cli;
pub mod command;
pub mod demo;
pub mod job;
pub mod migrate;
pub mod rollup;
pub mod scheduler;

pub mod db;
pub mod ground;
