//! The only place that touches the driver: what to connect to, sessions, the pool, transactions, errors.
//!
//! Statements run through the unnamed protocol with declared parameter types ([`Session::query`]), so that they work
//! behind a transaction pooler too; nothing here prepares a named statement.

pub mod connect;
pub mod embedded;
pub mod error;
pub mod listen;
pub mod param;
pub mod pool;
pub mod schema;
pub mod session;
pub mod target;

pub use error::DbError;
pub use param::Param;
pub use session::{Executor, Session, Tx};
pub use tokio_postgres::Row;
