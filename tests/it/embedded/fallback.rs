//! Where the usual directory cannot be had, and how the one that is made must look.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::User;
use tokio::process::Command;

use super::site::{Site, is_root};
use super::stranger::copy_of_program;
use crate::support::database::PROGRAM;
use crate::support::program;

const SHOW_DATA_DIRECTORY: [&str; 4] = ["psql", "--", "-AtXc", "SHOW data_directory"];

/// A server's directory that is not in its test's own; removed when this is dropped.
struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The parent of the directory that `SHOW data_directory` printed, which must be a fallback.
fn fallback(printed: &str) -> &Path {
    let root = Path::new(printed.trim()).parent().unwrap();
    assert!(root.to_str().unwrap().starts_with("/tmp/highwater-"), "{printed}");
    root
}

#[tokio::test]
async fn a_user_whose_home_cannot_be_written_to_has_a_server_under_tmp() {
    let site = Site::new();
    let copy = copy_of_program(&site);
    // Of its own name, so that the directory under /tmp is too.
    let home = site.top().join("home");
    std::fs::write(&home, "not a directory").unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(&copy);
        if is_root() {
            let nobody = User::from_name("nobody").unwrap().unwrap();
            command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid", &nobody.gid.to_string(), "--clear-groups"]).arg(&copy);
        }
        command.arg("postgres").args(arguments);
        command.env_clear().env("HOME", &home).env("PATH", "/usr/bin:/bin").current_dir("/");
        if let Some(programs) = std::env::vars_os().find(|(name, _)| name == "HIGHWATER_PG_BIN") {
            command.env(programs.0, programs.1);
        }
        program::run(&mut command).await.success()
    };
    let first = run(&SHOW_DATA_DIRECTORY).await;
    let leftover = Leftover(fallback(&first.stdout).to_owned());
    assert!(first.stderr.contains("may not outlive a reboot"), "{first:?}");
    assert_eq!(leftover.0.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    // Everything else finds it there too.
    assert_eq!(run(&SHOW_DATA_DIRECTORY).await.stdout, first.stdout);
    assert!(run(&["status"]).await.stdout.starts_with("state      running"));
    assert!(run(&["stop"]).await.stdout.starts_with("stopped"));
    assert_eq!(run(&SHOW_DATA_DIRECTORY).await.stdout, first.stdout);
    run(&["stop"]).await;
}

#[tokio::test]
async fn root_has_a_server_under_tmp_where_its_own_directory_is_read_only() {
    if !is_root() {
        eprintln!("skipped: only root keeps a server in /var/lib");
        return;
    }
    let site = Site::new();
    copy_of_program(&site);
    // For these processes only: a /tmp of their own, and a server's directory that became read-only.
    let script = "mount --bind \"$1\" /tmp && mount -t tmpfs none /var/lib || exit 77
                  mkdir -p /var/lib/highwater/dev && touch /var/lib/highwater/dev/lease || exit 1
                  mount -o remount,ro /var/lib || exit 77
                  shift
                  /tmp/highwater postgres \"$@\" && /tmp/highwater postgres status && /tmp/highwater postgres stop";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(site.top()).args(SHOW_DATA_DIRECTORY);
    for name in ["DATABASE_URL", "HIGHWATER_PG_DIR"] {
        command.env_remove(name);
    }
    let said = program::run(&mut command).await;
    if said.status.code() == Some(77) || said.stderr.starts_with("unshare:") {
        eprintln!("skipped: this machine allows no mounts: {}", said.stderr);
        return;
    }
    let said = said.success();
    let mut lines = said.stdout.lines();
    fallback(lines.next().unwrap());
    assert_eq!(lines.next(), Some("state      running"), "{said:?}");
    assert_eq!(lines.last(), Some("stopped"), "{said:?}");
    assert!(said.stderr.contains("cannot use /var/lib/highwater/dev (Read-only file system"), "{said:?}");
}

#[tokio::test]
async fn a_strict_umask_does_not_lock_the_server_out() {
    let site = Site::new();
    let directory = site.top().join("made/on/the/way");
    let run = async |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 077; exec \"$@\"", "sh", PROGRAM, "postgres"]).args(arguments);
        command.env("HIGHWATER_PG_DIR", &directory).env_remove("DATABASE_URL");
        program::run(&mut command).await.success()
    };
    let shown = run(&SHOW_DATA_DIRECTORY).await;
    assert_eq!(Path::new(shown.stdout.trim()), directory.join("data"));
    run(&["stop"]).await;
}
