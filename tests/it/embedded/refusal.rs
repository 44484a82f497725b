//! What cannot work is refused with its remedy.

use std::os::unix::fs::PermissionsExt;

use highwater::db::embedded::EmbeddedError;

use super::site::{Site, is_root};
use crate::support::program;

#[tokio::test]
async fn a_directory_out_of_the_servers_reach_is_refused() {
    if !is_root() {
        eprintln!("skipped: only root runs the server as another user");
        return;
    }
    let site = Site::new();
    std::fs::set_permissions(site.top(), PermissionsExt::from_mode(0o700)).unwrap();
    let refused = site.start().await.unwrap_err();
    let EmbeddedError::Untraversable { blocked_at, .. } = &refused else { panic!("{refused}") };
    assert_eq!(blocked_at, site.top());
    assert!(refused.to_string().contains("HIGHWATER_PG_DIR"), "{refused}");
}

#[tokio::test]
async fn an_over_long_socket_path_is_refused() {
    let site = Site::new();
    let mut options = site.options();
    options.directory = Some(site.top().join("x".repeat(100)));
    let refused = highwater::db::embedded::start(&options).await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::SocketPathTooLong { .. }), "{refused}");
    assert!(refused.to_string().contains("allows 107"), "{refused}");
}

#[tokio::test]
async fn a_wrong_directory_of_binaries_is_named() {
    let site = Site::new();
    let mut command = site.command(&["url", "--hold"]);
    let refused = program::run(command.env("HIGHWATER_PG_BIN", "/usr/share")).await;
    assert_eq!(refused.code(), 1);
    assert!(refused.stderr.contains("HIGHWATER_PG_BIN=/usr/share: it holds no \"postgres\""), "{refused:?}");
}

#[tokio::test]
async fn a_machine_without_binaries_is_told_three_remedies() {
    let site = Site::new();
    // Hidden from this one process, in a mount namespace of its own.
    let script = "for d in /usr/lib/postgresql /opt/homebrew /usr/local/opt; do \
                    [ ! -d $d ] || mount -t tmpfs none $d || exit 77; done; \
                  PATH=/nonexistent exec \"$@\"";
    let mut command = tokio::process::Command::new("unshare");
    let inner = site.command(&["url", "--hold"]);
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    if is_root() {
        command = tokio::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]);
    }
    command.arg(inner.as_std().get_program()).args(inner.as_std().get_args());
    command
        .env("HIGHWATER_PG_DIR", site.directory())
        .env_remove("HIGHWATER_PG_BIN")
        .env_remove("DATABASE_URL");
    let refused = program::run(&mut command).await;
    if refused.status.code() == Some(77) || refused.stderr.starts_with("unshare:") {
        eprintln!("skipped: this machine allows no mounts: {}", refused.stderr);
        return;
    }
    for remedy in ["apt-get install postgresql", "HIGHWATER_PG_BIN", "--database-url"] {
        assert!(refused.stderr.contains(remedy), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_the_end_of_its_log() {
    let site = Site::new();
    drop(site.start().await.unwrap());
    site.deserted().await;
    let configuration = site.directory().join("data/postgresql.conf");
    std::fs::write(&configuration, "shared_buffers = 'plenty'\n").unwrap();
    let refused = site.start().await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::NotStarted { .. }), "{refused}");
    assert!(refused.to_string().contains("invalid value for parameter \"shared_buffers\""), "{refused}");
    assert!(refused.to_string().contains(site.directory().join("log").to_str().unwrap()), "{refused}");
    site.deserted().await;
}

#[tokio::test]
async fn a_cluster_of_another_major_version_is_left_alone() {
    let site = Site::new();
    drop(site.start().await.unwrap());
    site.deserted().await;
    std::fs::write(site.directory().join("data/PG_VERSION"), "14\n").unwrap();
    let refused = site.start().await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::OtherMajor { major: 14, .. }), "{refused}");
}
