//! One connection, and a transaction on it.

use std::ops::Deref;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Client, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{DbError, Param};

/// An open connection. Dropping a dedicated one closes it; a pooled one goes back to its pool.
pub struct Session {
    holder: Holder,
    /// How a second connection to the same server, which a cancel needs, is encrypted.
    tls: MakeRustlsConnect,
}

enum Holder {
    Dedicated(Box<Client>),
    Pooled(Box<deadpool_postgres::Object>),
}

/// A READ COMMITTED transaction. Dropped without [`Tx::commit`] it rolls back.
pub struct Tx<'a> {
    inner: tokio_postgres::Transaction<'a>,
}

/// What sessions and transactions have in common: running statements.
pub trait Executor: Sync {
    /// Runs one statement and returns its rows. The statement travels unnamed, with its parameter types.
    fn query(
        &self,
        statement: &str,
        params: &[&dyn Param],
    ) -> impl Future<Output = Result<Vec<Row>, DbError>> + Send;

    /// Runs statements without parameters; several may be separated by semicolons.
    fn batch(&self, statements: &str) -> impl Future<Output = Result<(), DbError>> + Send;

    /// Like `query`, for a statement that returns exactly one row.
    ///
    /// # Errors
    ///
    /// [`DbError::Bug`] for any other number of rows.
    fn query_one(
        &self,
        statement: &str,
        params: &[&dyn Param],
    ) -> impl Future<Output = Result<Row, DbError>> + Send {
        async move {
            let mut rows = self.query(statement, params).await?;
            match (rows.pop(), rows.is_empty()) {
                (Some(row), true) => Ok(row),
                (row, _) => Err(DbError::Bug(format!(
                    "{} rows instead of one from: {}",
                    rows.len() + usize::from(row.is_some()),
                    first_line(statement)
                ))),
            }
        }
    }

    /// Like `query`, for a statement that returns at most one row.
    ///
    /// # Errors
    ///
    /// [`DbError::Bug`] for more than one row.
    fn query_opt(
        &self,
        statement: &str,
        params: &[&dyn Param],
    ) -> impl Future<Output = Result<Option<Row>, DbError>> + Send {
        async move {
            let mut rows = self.query(statement, params).await?;
            let row = rows.pop();
            if rows.is_empty() {
                Ok(row)
            } else {
                Err(DbError::Bug(format!("several rows instead of one from: {}", first_line(statement))))
            }
        }
    }
}

fn first_line(statement: &str) -> &str {
    statement.lines().next().unwrap_or_default()
}

fn typed<'a>(params: &'a [&'a dyn Param]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params.iter().map(|param| (param.as_sql(), param.sql_type())).collect()
}

impl Session {
    pub(super) fn dedicated(client: Client, tls: MakeRustlsConnect) -> Session {
        Session { holder: Holder::Dedicated(Box::new(client)), tls }
    }

    pub(super) fn pooled(object: deadpool_postgres::Object, tls: MakeRustlsConnect) -> Session {
        Session { holder: Holder::Pooled(Box::new(object)), tls }
    }

    fn client(&self) -> &Client {
        match &self.holder {
            Holder::Dedicated(client) => client,
            Holder::Pooled(object) => object.deref().deref(),
        }
    }

    fn client_mut(&mut self) -> &mut Client {
        match &mut self.holder {
            Holder::Dedicated(client) => client,
            Holder::Pooled(object) => object,
        }
    }

    /// Opens a READ COMMITTED transaction.
    ///
    /// # Errors
    ///
    /// [`DbError::Lost`] when the connection is gone.
    pub async fn begin(&mut self) -> Result<Tx<'_>, DbError> {
        let inner = self
            .client_mut()
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::ReadCommitted)
            .start()
            .await?;
        Ok(Tx { inner })
    }

    /// Whether the connection is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.client().is_closed()
    }

    /// A handle that can cancel whatever statement this session is running.
    pub fn canceller(&self) -> Canceller {
        Canceller { token: self.client().cancel_token(), tls: self.tls.clone() }
    }

    /// Opens `COPY ... FROM STDIN` and returns the sink for its bytes.
    ///
    /// # Errors
    ///
    /// What the server says about the statement.
    pub async fn copy_in(
        &self,
        statement: &str,
    ) -> Result<tokio_postgres::CopyInSink<bytes::Bytes>, DbError> {
        Ok(self.client().copy_in(statement).await?)
    }
}

impl Executor for Session {
    async fn query(&self, statement: &str, params: &[&dyn Param]) -> Result<Vec<Row>, DbError> {
        Ok(self.client().query_typed(statement, &typed(params)).await?)
    }

    async fn batch(&self, statements: &str) -> Result<(), DbError> {
        Ok(self.client().batch_execute(statements).await?)
    }
}

impl Tx<'_> {
    /// Makes the transaction's work visible.
    ///
    /// # Errors
    ///
    /// Deferred constraints, or a lost connection (then the outcome is unknown).
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.inner.commit().await?)
    }

    /// Undoes the transaction's work; unlike a drop this waits until the server has done so.
    ///
    /// # Errors
    ///
    /// [`DbError::Lost`] when the connection is gone (the server then rolls back by itself).
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.inner.rollback().await?)
    }
}

impl Executor for Tx<'_> {
    async fn query(&self, statement: &str, params: &[&dyn Param]) -> Result<Vec<Row>, DbError> {
        Ok(self.inner.query_typed(statement, &typed(params)).await?)
    }

    async fn batch(&self, statements: &str) -> Result<(), DbError> {
        Ok(self.inner.batch_execute(statements).await?)
    }
}

/// Cancels the running statement of the session it came from.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    tls: MakeRustlsConnect,
}

impl Canceller {
    /// Asks the server to cancel; the statement then fails with [`DbError::Cancelled`], if it has not ended by then.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub async fn cancel(&self) -> Result<(), DbError> {
        Ok(self.token.cancel_query(self.tls.clone()).await?)
    }
}
