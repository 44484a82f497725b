//! What agents and servers say to each other: JSON over HTTP, one type per document.
//!
//! Both sides share these types, so that a field exists once. An agent needs no database, and a server no agent: hence
//! the nouns live below both. Documents are read leniently (unknown fields are passed over) and written strictly.

pub mod config;
pub mod event;
pub mod fact;
pub mod fire;
pub mod hello;
pub mod id;
pub mod problem;
pub mod record;
pub mod state;
pub mod text;
pub mod usage;
pub mod verdict;
pub mod work;

/// A document that does not say what it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the JSON that is wanted.
    #[error("{what} cannot be read: {reason}")]
    Unreadable { what: &'static str, reason: String },
    /// JSON of the right shape whose values are not possible.
    #[error("{field} {reason}")]
    Invalid { field: &'static str, reason: String },
    /// An event of a kind that this build does not know.
    #[error("kind \"{kind}\" is not known")]
    UnknownKind { kind: String },
}
