//! Where the embedded server lives: the directory, what is in it, and whether it can be used.
//!
//! `data/` and `socket/` belong to the server's user and are made by the keeper; the rest belongs to the caller.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, User, access, geteuid};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::EmbeddedError;
use super::account::Account;
use crate::ground::config;

/// Environment variable that names the directory.
pub const DIRECTORY_VARIABLE: &str = "HIGHWATER_PG_DIR";

/// Root's directory: unlike /root, the user that the server runs as can reach it.
const ROOT_DIRECTORY: &str = "/var/lib/highwater/dev";

/// `sockaddr_un.sun_path` has 108 bytes on Linux, one of them for the closing NUL.
pub const SOCKET_PATH_MAX_BYTES: usize = 107;

/// The server listens on no TCP port; this is a part of its socket's name.
pub const PORT: u16 = 5432;

/// The directory of one embedded server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    root: PathBuf,
}

impl Location {
    /// A location at `root`, which must be absolute; nothing is looked at.
    pub fn at(root: PathBuf) -> Location {
        Location { root }
    }

    /// The directory that is in use or would be used; nothing is made.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::NoHome`].
    pub fn existing(directory: Option<&Path>) -> Result<Location, EmbeddedError> {
        let candidates = candidates(directory)?;
        // One that cannot be written to any more holds data, but no server; `prepare` passes it over too.
        let is_in_use = |root: &&PathBuf| root.join("lease").exists() && writable(root).is_ok();
        let chosen = candidates.iter().find(is_in_use).unwrap_or(&candidates[0]);
        Ok(Location::at(std::path::absolute(chosen).unwrap_or_else(|_| chosen.clone())))
    }

    /// Makes the directory if it is missing and checks that it can be used: `directory`, else `HIGHWATER_PG_DIR`,
    /// else one in the user's home or root's own, else, where none can be made or written to, one under /tmp.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::File`], [`EmbeddedError::Untrusted`], [`EmbeddedError::Untraversable`],
    /// [`EmbeddedError::SocketPathTooLong`], [`EmbeddedError::NoHome`], [`EmbeddedError::NoAccount`].
    pub fn prepare(directory: Option<&Path>) -> Result<(Location, Account), EmbeddedError> {
        let candidates = candidates(directory)?;
        let mut refused = None;
        for root in &candidates {
            match make(root) {
                Ok(root) => {
                    if let Some(EmbeddedError::File { path, source, .. }) = &refused {
                        let (wanted, used) = (path.display(), root.display());
                        warn!(
                            "cannot use {wanted} ({source}): the embedded server is kept in {used}, which may not outlive a reboot"
                        );
                    }
                    let location = Location::at(root);
                    let account = Account::choose(&location.data())?;
                    location.check(&account)?;
                    return Ok((location, account));
                }
                Err(source) => {
                    refused = Some(EmbeddedError::File { action: "make", path: root.clone(), source });
                }
            }
        }
        Err(refused.expect("there is at least one candidate"))
    }

    fn check(&self, account: &Account) -> Result<(), EmbeddedError> {
        let path = self.socket().join(format!(".s.PGSQL.{PORT}"));
        let length_bytes = path.as_os_str().len();
        if length_bytes > SOCKET_PATH_MAX_BYTES {
            return Err(EmbeddedError::SocketPathTooLong { path, length_bytes });
        }
        let file = |source| EmbeddedError::File { action: "inspect", path: self.root.clone(), source };
        let meta = self.root.metadata().map_err(file)?;
        let untrusted = |reason: String| Err(EmbeddedError::Untrusted { path: self.root.clone(), reason });
        if meta.uid() != geteuid().as_raw() {
            return untrusted(format!("it belongs to user id {}", meta.uid()));
        }
        if meta.permissions().mode() & 0o022 != 0 {
            return untrusted("others may write to it".to_owned());
        }
        match account.blocked_at(&self.root).map_err(file)? {
            None => Ok(()),
            Some(blocked_at) => Err(EmbeddedError::Untraversable {
                path: self.root.clone(),
                blocked_at,
                account: account.name.clone(),
            }),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The cluster: what Postgres calls PGDATA.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The directory of the server's socket, mode 0700.
    pub fn socket(&self) -> PathBuf {
        self.root.join("socket")
    }

    /// What the keeper, initdb and the postmaster say, since the last start.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The log of the start before.
    pub fn old_log(&self) -> PathBuf {
        self.root.join("log.old")
    }

    /// Exists once initdb has come to its end; a `data` without it is half done.
    pub fn init_ok(&self) -> PathBuf {
        self.root.join("init.ok")
    }

    /// The superuser's password; exists only where the server's user is shared with other programs.
    pub fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    /// The lock of users, see [`super::lock`].
    pub fn lease(&self) -> PathBuf {
        self.root.join("lease")
    }

    /// The lock of starters, see [`super::lock`].
    pub fn start(&self) -> PathBuf {
        self.root.join("start")
    }

    /// The lock of the keeper, and its record; see [`super::lock`].
    pub fn keeper(&self) -> PathBuf {
        self.root.join("keeper")
    }

    /// The socket at which a living keeper answers, see [`super::greeting`].
    pub fn greeting(&self) -> PathBuf {
        self.root.join("greeting")
    }

    /// The lock of the cluster's processes, see [`super::lock`].
    pub fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    /// Major version of the cluster; none if there is no complete one.
    pub fn major(&self) -> Option<u32> {
        if !self.init_ok().exists() {
            return None;
        }
        std::fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Process id that the last postmaster wrote down; it may be long gone.
    pub fn postmaster_pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> String {
        /// Enough for an error with its detail, hint and context; few enough for a terminal.
        const LINES: usize = 12;
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// Where the server may live, best first; never empty.
fn candidates(directory: Option<&Path>) -> Result<Vec<PathBuf>, EmbeddedError> {
    if let Some(named) = directory.map(Path::to_owned).or_else(|| config::env_path(DIRECTORY_VARIABLE)) {
        return Ok(vec![named]);
    }
    let me = geteuid();
    let first = if me.is_root() {
        PathBuf::from(ROOT_DIRECTORY)
    } else {
        let data_home = config::env_path("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let home = || config::env_path("HOME").or_else(|| Some(User::from_uid(me).ok()??.dir));
        let data_home = data_home.or_else(|| Some(home()?.join(".local/share")));
        data_home.ok_or(EmbeddedError::NoHome)?.join("highwater/pg")
    };
    let hash = Sha256::digest(format!("{me} {}", first.display()).as_bytes());
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(vec![first, PathBuf::from(format!("/tmp/highwater-{hash}"))])
}

/// Makes the directory if it is missing: as root open to pass through, for the user that the server runs as, else
/// closed. Fails too where it cannot be written to, as on a file system that is mounted read-only.
fn make(root: &Path) -> std::io::Result<PathBuf> {
    let is_root = geteuid().is_root();
    let missing_parents = root
        .ancestors()
        .skip(1)
        .take_while(|directory| !directory.as_os_str().is_empty() && !directory.exists());
    for parent in missing_parents.collect::<Vec<_>>().into_iter().rev() {
        make_one(parent, if is_root { 0o755 } else { 0o700 })?;
    }
    make_one(root, if is_root { 0o711 } else { 0o700 })?;
    // Someone else's is for `check` to refuse.
    if root.metadata()?.uid() == geteuid().as_raw() {
        writable(root)?;
    }
    root.canonicalize()
}

/// Makes one directory if it is missing, of exactly this mode: a umask of 077 would close root's to the server.
fn make_one(path: &Path, mode: u32) -> std::io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => std::fs::set_permissions(path, PermissionsExt::from_mode(mode)),
        // A link may lead anywhere by the time it is used; everything else is judged by `check`.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.symlink_metadata()?.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn writable(root: &Path) -> std::io::Result<()> {
    Ok(access(root, AccessFlags::W_OK | AccessFlags::X_OK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let top = tempfile::tempdir().unwrap();
        std::fs::set_permissions(top.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let refused = Location::prepare(Some(top.path())).unwrap_err();
        assert!(matches!(refused, EmbeddedError::Untrusted { .. }), "{refused}");
    }

    #[test]
    fn a_link_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let link = top.path().join("link");
        std::os::unix::fs::symlink("/var/lib", &link).unwrap();
        let refused = Location::prepare(Some(&link)).unwrap_err();
        assert!(matches!(refused, EmbeddedError::File { action: "make", .. }), "{refused}");
    }
}
