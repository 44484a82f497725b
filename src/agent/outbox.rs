//! The outbox: every report of a host is one durable file until the server has answered for it.
//!
//! ```text
//! enqueue: tmp/NAME ─ fsync ─ rename ─► new/NAME ─ fsync new/ ─► acknowledged
//!                                          │ sent, in order, first in first out per job
//!                       answered ◄─────────┼─────────► conflict/NAME, with the server's words
//!                       (deleted)          └─────────► dead/NAME, with the reason
//! ```
//!
//! Its order is a counter's, never a clock's. What was acknowledged is deleted only by an answer of the server or by
//! `outbox drop`. The design is that of maildir; the faults that it is held against were found in older queues: files
//! without fsync, entries that nobody sees, 401 and 429 taken for an answer, a reorder after a retry.

mod answer;
mod bounds;
mod draft;
mod durable;
mod entry;
mod epoch;
mod layout;
mod queue;
mod shelf;
mod store;

pub use answer::{Fate, Hold, of_status, of_verdict};
pub use bounds::{Bounds, Class};
pub use draft::{Draft, Stamp};
pub use durable::place_durably;
pub use entry::{Entry, Header, Name, Request};
pub use epoch::read as epoch_of;
pub use layout::{Layout, Place, make_directory, sync_directory};
pub use queue::{Load, Queue, Waiting};
pub use shelf::{Answer, Item, Shelf};
pub use store::{Found, Outbox};
