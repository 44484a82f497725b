//! A handle on the running server.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::address::Address;
use super::location::Location;
use super::record::Record;

/// The embedded server. While a clone of this lives, the server is not stopped for want of users.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    location: Location,
    address: Address,
    record: Record,
    /// The share of the lease, released when this is closed.
    lease: File,
}

impl Server {
    pub(super) fn new(location: Location, record: Record, lease: File) -> Server {
        let address = Address::of(&location);
        Server { shared: Arc::new(Shared { location, address, record, lease }) }
    }

    /// A `postgresql://` URL of one of the server's databases, for tokio-postgres and for libpq's programs. Where the
    /// server has a password it is in it: not for logs.
    pub fn url(&self, database: &str) -> String {
        self.shared.address.url(database)
    }

    /// The directory of the server's socket.
    pub fn socket_directory(&self) -> &Path {
        self.shared.address.socket_directory()
    }

    /// The cluster's files: what Postgres calls PGDATA.
    pub fn data_directory(&self) -> PathBuf {
        self.shared.location.data()
    }

    /// As the server's programs print it: `15.20`.
    pub fn version(&self) -> &str {
        &self.shared.record.version
    }

    /// Process id of the keeper, the postmaster's parent.
    pub fn keeper_pid(&self) -> i32 {
        self.shared.record.pid
    }

    /// Process id of the postmaster; none if it has just ended.
    pub fn postmaster_pid(&self) -> Option<i32> {
        self.shared.location.postmaster_pid()
    }

    /// One of the programs that came with the server, such as `psql`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.shared.record.binaries.join(name)
    }

    /// The environment in which libpq's programs find one of the server's databases.
    pub fn client_environment(&self, database: &str) -> Vec<(&'static str, String)> {
        self.shared.address.environment(database)
    }

    /// Lets the lease outlive an `exec`: the program that this process turns into holds it then, and its children do.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn keep_lease_over_exec(&self) -> std::io::Result<()> {
        fcntl(&self.shared.lease, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    }
}
