//! Alarms are told: at least once, in order, to whoever wants to hear of them, and never twice once they were taken.

mod command;
mod mail;
mod peer;
mod site;
mod unstarted;
mod webhook;
mod worker;
