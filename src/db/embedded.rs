//! A Postgres of our own, for whoever names no database: found binaries, our launcher, gone when no one needs it.
//!
//! Every process that uses the server holds a shared `flock` on the file `lease`. A detached keeper (a hidden
//! subcommand of this program) is the postmaster's parent; it waits for the exclusive lock on the same file, and
//! stops the postmaster once no one has held the lease for a grace period. The kernel drops a lease at any death of
//! its holder, so no signal handler is needed to leave nothing behind. Everything else that processes must know of
//! each other is a lock too ([`lock`]): whose turn it is to start, whether the keeper lives, whether any process of
//! the cluster lives.
//!
//! The server listens on a Unix socket in a directory of mode 0700 and on no port. Linux only: it rests on
//! `PR_SET_PDEATHSIG` and inotify.

pub mod account;
pub mod address;
pub mod binaries;
pub mod error;
pub mod greeting;
pub mod initdb;
pub mod keeper;
pub mod launch;
pub mod lease;
pub mod location;
pub mod lock;
pub mod plan;
pub mod postmaster;
pub mod probe;
pub mod record;
pub mod report;
pub mod server;
pub mod status;

pub use error::EmbeddedError;
pub use launch::{Options, start};
pub use server::Server;

/// The database that every embedded server has; `sql/embedded/create_database.sql` makes it.
pub const DATABASE: &str = "highwater";
