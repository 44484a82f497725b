//! A run as a graph of actions: what must have succeeded, what must merely be over, what is shared, what a cancel cuts.
//!
//! [`Graph`] is checked when it is built, [`Walk`] is its state machine without any clock or process, `run` drives a
//! walk. The edges are those of rsbackup's plan, with one rule instead of two: a pattern of names is an edge to each of
//! them, of the same kind.

mod action;
mod build;
mod draw;
mod run;
mod walk;

pub use action::{Action, Condition, Edge, EdgeKind, without};
pub use build::{Graph, GraphError};
pub use draw::{Forecast, mermaid, text};
pub use run::{Cancel, Outcome, Perform, Step, Why, run};
pub use walk::{End, Walk};
