//! The only place that touches the driver: what to connect to, sessions, the pool, transactions, errors.
//!
//! Statements run through the unnamed protocol with declared parameter types ([`Session::query`]), so that they work
//! behind a transaction pooler too; nothing here prepares a named statement.
//!
//! A connection is made as libpq makes it: `parameter` (what was said, and where) → `target` (what is meant: `endpoint`,
//! `tls`, `attrs`) → `dial` (hosts and ways in turn) → `connect`, `pool` → [`Session`].

mod attrs;
pub mod connect;
mod dial;
pub mod embedded;
mod endpoint;
pub mod error;
pub mod listen;
pub mod param;
mod parameter;
pub mod pool;
pub mod schema;
pub mod session;
pub mod target;
mod tls;

pub use error::DbError;
pub use param::Param;
pub use session::{Executor, Session, Tx};
pub use tokio_postgres::Row;
