//! Other users of the operating system: an ordinary one, and the stand-in that is shared with other programs.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use nix::unistd::User;
use tokio::process::Command;

use super::site::{Site, is_root};
use crate::support::database::PROGRAM;
use crate::support::program;

/// The program where everyone may run it.
pub fn copy_of_program(site: &Site) -> PathBuf {
    let copy = site.top().join("highwater");
    std::fs::copy(PROGRAM, &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    copy
}

#[tokio::test]
async fn an_ordinary_user_keeps_a_server_at_home() {
    if !is_root() {
        eprintln!("skipped: the other tests run as an ordinary user already");
        return;
    }
    let site = Site::new();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let copy = copy_of_program(&site);
    let home = site.top().join("home");
    std::fs::create_dir(&home).unwrap();
    chown(&home, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid", &nobody.gid.to_string(), "--clear-groups"]);
        command.arg(&copy).arg("postgres").args(arguments);
        command.env_clear().env("HOME", &home).env("PATH", "/usr/bin:/bin").current_dir("/");
        command
    };
    let script = ["psql", "--", "-AtXc", "SHOW data_directory"];
    let said = program::run(&mut as_nobody(&script)).await.success();
    let directory = home.join(".local/share/highwater/pg");
    assert_eq!(said.stdout.trim(), directory.join("data").to_str().unwrap());
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    program::run(&mut as_nobody(&["stop"])).await.success();
}

#[tokio::test]
async fn a_shared_stand_in_asks_for_a_password() {
    if !is_root() {
        eprintln!("skipped: only root runs the server as another user");
        return;
    }
    let site = Site::new();
    // A machine on which no package has made the user "postgres", for these processes only.
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let without: String =
        passwd.lines().filter(|line| !line.starts_with("postgres:")).fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        });
    let file = site.top().join("passwd");
    std::fs::write(&file, without).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let mut holder = Command::new("unshare");
    holder.args([
        "--mount",
        "sh",
        "-c",
        "mount --bind \"$1\" /etc/passwd || exit 77; shift; exec \"$@\"",
        "sh",
    ]);
    holder.arg(&file).arg(PROGRAM).args(["postgres", "psql", "--", "-AtXc"]);
    holder.arg("SELECT current_user, rolpassword LIKE 'SCRAM%' FROM pg_catalog.pg_authid WHERE rolname = current_user");
    holder.env("HIGHWATER_PG_DIR", site.directory()).env_remove("DATABASE_URL");
    let said = program::run(&mut holder).await;
    if said.status.code() == Some(77) || said.stderr.starts_with("unshare:") {
        eprintln!("skipped: this machine allows no mounts: {}", said.stderr);
        return;
    }
    assert_eq!(said.success().stdout, "postgres|t\n");
    let password = site.directory().join("password");
    assert_eq!(password.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!site.directory().join("password.initdb").exists());
    // Our own way in, with the password; and without it there is none.
    let server = site.start().await.unwrap();
    super::site::session(&server).await;
    let mut psql = Command::new(server.program("psql"));
    psql.args(["--no-password", "-U", "postgres", "-h"])
        .arg(server.socket_directory())
        .args(["-c", "SELECT 1"]);
    let refused = program::run(&mut psql).await;
    assert!(refused.stderr.contains("no password supplied"), "{refused:?}");
}
