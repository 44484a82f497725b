//! The API of agents, as an agent and as a stranger speak to it.

mod openapi;
mod run;
mod site;
mod stranger;
mod usage;
