//! Making a cluster, once, so that a half-made one is never used.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::location::Location;
use super::plan::Plan;
use super::postmaster;
use super::report::Failure;

/// The superuser of the embedded server.
pub const SUPERUSER: &str = "postgres";

/// Makes sure of a complete cluster and an empty socket directory.
///
/// The caller holds the `cluster` lock: no process of the cluster lives. What an interrupted initdb left is removed.
///
/// # Errors
///
/// [`Failure::Prepare`].
pub async fn prepare(plan: &Plan, location: &Location, cluster: &File) -> Result<(), Failure> {
    let account = &plan.account;
    if !location.init_ok().exists() {
        erase(location)
            .map_err(|error| Failure::file("remove a half-made cluster in", location.root(), &error))?;
        make_private(&location.data(), account)?;
        initdb(plan, location, cluster).await?;
        let done = File::create(location.init_ok()).and_then(|file| {
            file.sync_all()?;
            File::open(location.root())?.sync_all()
        });
        done.map_err(|error| Failure::file("write", &location.init_ok(), &error))?;
    }
    make_private(&location.socket(), account)
}

/// Removes the cluster and everything that was made for it; the locks' files stay, for someone may wait on them.
///
/// # Errors
///
/// What the operating system says.
pub fn erase(location: &Location) -> std::io::Result<()> {
    fn missing_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
        result.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }
    // First of all what says that the rest is complete.
    missing_is_fine(std::fs::remove_file(location.init_ok()))?;
    missing_is_fine(std::fs::remove_file(location.password()))?;
    missing_is_fine(std::fs::remove_file(handed_password(location)))?;
    missing_is_fine(std::fs::remove_dir_all(location.data()))?;
    missing_is_fine(std::fs::remove_dir_all(location.socket()))
}

async fn initdb(plan: &Plan, location: &Location, cluster: &File) -> Result<(), Failure> {
    let mut command = postmaster::command(plan, "initdb", cluster, nix::sys::signal::Signal::SIGTERM)?;
    command.arg("--pgdata").arg(location.data()).args(["--username", SUPERUSER]);
    // The same collation and messages on every machine; the C locale also is the fastest.
    command.args(["--encoding=UTF8", "--locale=C", "--auth-host=reject"]);
    if !plan.durable {
        // Sixteen times less to write and to wipe, at the price of more files under load.
        command.args(["--no-sync", "--wal-segsize=1"]);
    }
    let handed = if plan.account.is_shared() {
        let path = make_password(location, &plan.account)?;
        command.arg("--auth-local=scram-sha-256").arg("--pwfile").arg(&path);
        Some(path)
    } else {
        command.arg("--auth-local=trust");
        None
    };
    let status = command.status().await;
    if let Some(path) = handed {
        std::fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))?;
    }
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Prepare(format!("initdb ended with {status}"))),
        Err(error) => Err(Failure::file("run", &plan.binaries.join("initdb"), &error)),
    }
}

/// Makes a directory of mode 0700 for `account`, if it is missing.
fn make_private(path: &Path, account: &Account) -> Result<(), Failure> {
    let made = match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Ok(()) if account.dropped => chown(path, Some(account.uid), Some(account.gid)),
        result => result,
    };
    made.map_err(|error| Failure::file("make", path, &error))
}

/// Writes a random password for ourselves, and a copy of mode 0600 that initdb can read; returns the copy's path.
fn make_password(location: &Location, account: &Account) -> Result<PathBuf, Failure> {
    let mut random = [0_u8; 24];
    let source = Path::new("/dev/urandom");
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(|error| Failure::file("read", source, &error))?;
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let handed = handed_password(location);
    for path in [&location.password(), &handed] {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(password.as_bytes()))
            .map_err(|error| Failure::file("write", path, &error))?;
    }
    chown(&handed, Some(account.uid), Some(account.gid))
        .map_err(|error| Failure::file("hand over", &handed, &error))?;
    Ok(handed)
}

fn handed_password(location: &Location) -> PathBuf {
    location.root().join("password.initdb")
}
