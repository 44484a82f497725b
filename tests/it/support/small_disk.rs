//! A file system that fills up.

use std::path::Path;
use std::process::Command;

/// A file system of a megabyte, unmounted when it is dropped.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where this machine lets us mount nothing; in CI that is a failure.
    pub fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(dir.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            assert!(std::env::vars_os().all(|(name, _)| name != "CI"), "CI needs a tmpfs");
            eprintln!("no tmpfs can be mounted here; a full disk is not tried");
            return None;
        }
        Some(SmallDisk(dir))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
