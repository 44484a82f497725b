//! Hosts, groups, jobs and what reports make of them.

mod command;
mod event;
mod isolation;
mod listing;
mod order;
mod record;
pub mod site;
mod upgrade;
