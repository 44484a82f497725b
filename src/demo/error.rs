//! What can go wrong with the demonstration.

use crate::db::DbError;
use crate::ground::exit::Exit;

/// An error of the demonstration.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("cannot read {file}: {reason}")]
    Csv { file: String, reason: String },
    #[error("cannot write the example's files to {directory}: {source}")]
    Files { directory: String, source: std::io::Error },
    #[error("cannot make database \"{database}\": {source}")]
    Database { database: String, source: DbError },
    #[error("interrupted while another demonstration was running; the same command begins anew")]
    Interrupted,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl DemoError {
    /// The exit code of a command that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            DemoError::Csv { .. } => Exit::Usage,
            DemoError::Files { .. } => Exit::Unexpected,
            DemoError::Interrupted => Exit::Interrupted,
            DemoError::Database { source, .. } | DemoError::Db(source) => source.exit(),
        }
    }
}
