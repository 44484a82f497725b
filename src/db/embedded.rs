//! A Postgres of our own.

/// Why the embedded server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error("no PostgreSQL binaries found")]
    NoBinaries,
}

#[derive(Debug, Default)]
pub struct Options {}

#[derive(Debug, Clone)]
pub struct Server {}

pub async fn start(_options: &Options) -> Result<Server, EmbeddedError> {
    Err(EmbeddedError::NoBinaries)
}

impl Server {
    pub fn url(&self, database: &str) -> String {
        format!("postgresql:///{database}")
    }
}
