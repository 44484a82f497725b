//! Who the server runs as. Postgres refuses to run as root, so root hands it to a user with fewer rights.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};
use serde::{Deserialize, Serialize};

use super::EmbeddedError;

/// Users whom root may run the server as, best first. Unlike `postgres`, `nobody` is shared with other programs.
const STAND_INS: [&str; 2] = ["postgres", NOBODY];
const NOBODY: &str = "nobody";

/// A user of the operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// Whether this is someone else than the caller, who then is root.
    pub dropped: bool,
}

impl Account {
    /// The caller; for root, the owner of an existing `data` directory, else `postgres`, else `nobody`.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::NoAccount`] when the caller has no entry in the user database, or root finds no stand-in.
    pub fn choose(data: &Path) -> Result<Account, EmbeddedError> {
        let me = geteuid();
        if !me.is_root() {
            let user = by_uid(me).ok_or(EmbeddedError::NoAccount { uid: me.as_raw() })?;
            return Ok(Account::of(user, false));
        }
        let owner = std::fs::metadata(data).ok().map(|data| data.uid()).filter(|uid| *uid != 0);
        owner
            .and_then(|uid| by_uid(Uid::from_raw(uid)))
            .or_else(|| STAND_INS.iter().find_map(|name| User::from_name(name).ok().flatten()))
            .map(|user| Account::of(user, true))
            .ok_or(EmbeddedError::NoAccount { uid: 0 })
    }

    fn of(user: User, dropped: bool) -> Account {
        Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), dropped }
    }

    /// Whether unrelated programs run under the same user, so that its sockets need a password.
    pub fn is_shared(&self) -> bool {
        self.dropped && self.name == NOBODY
    }

    /// The first directory on the way to (and including) `path` that this user may not pass through; none if the
    /// way is free, or if this is the caller, whom the kernel will tell.
    ///
    /// Judged by permission bits; a user we drop to has no supplementary groups.
    ///
    /// # Errors
    ///
    /// When a directory on the way does not exist.
    pub fn blocked_at(&self, path: &Path) -> std::io::Result<Option<PathBuf>> {
        if !self.dropped {
            return Ok(None);
        }
        let path = path.canonicalize()?;
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        for directory in ancestors {
            let meta = directory.metadata()?;
            let class_shift = if meta.uid() == self.uid {
                6
            } else if meta.gid() == self.gid {
                3
            } else {
                0
            };
            if meta.permissions().mode() & (0o1 << class_shift) == 0 {
                return Ok(Some(directory.to_owned()));
            }
        }
        Ok(None)
    }
}

fn by_uid(uid: Uid) -> Option<User> {
    User::from_uid(uid).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::set_permissions(top.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let stranger = Account { name: "stranger".to_owned(), uid: 3999, gid: 3999, dropped: true };
        assert_eq!(stranger.blocked_at(&inner).unwrap(), Some(top.path().canonicalize().unwrap()));
        std::fs::set_permissions(top.path(), PermissionsExt::from_mode(0o711)).unwrap();
        assert_eq!(stranger.blocked_at(&inner).unwrap(), None);
    }
}
