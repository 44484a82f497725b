//! From a promised slot to a job in a host's hands, and back to the slot.

mod catchup;
mod command;
mod pending;
pub mod site;
mod slot_model;
mod slots;
mod standing;
