//! A real pgbouncer before the test server.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use highwater::db::connect::connect;
use highwater::db::target::Target;
use nix::unistd::{Uid, User, chown};

use super::TestDb;

/// A pgbouncer of its own; `None` where none is installed.
pub struct PgBouncer {
    child: Child,
    folder: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts one in front of a test's server; `settings` are lines of its section.
    pub async fn start(db: &TestDb, settings: &str) -> Option<PgBouncer> {
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let Some(program) = places.into_iter().find(|path| Path::new(path).exists()) else {
            assert!(highwater::ground::config::env("CI").is_none(), "CI must have pgbouncer");
            eprintln!("not tried: no pgbouncer here");
            return None;
        };
        let server: tokio_postgres::Config = db.url().parse().unwrap();
        let host = match server.get_hosts().first().unwrap() {
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
            tokio_postgres::config::Host::Tcp(host) => host.clone(),
        };
        let user = server.get_user().unwrap();
        let folder = tempfile::Builder::new().prefix("hw-pgb").tempdir_in("/tmp").unwrap();
        let ini = folder.path().join("pgbouncer.ini");
        let users = folder.path().join("users.txt");
        std::fs::write(&users, format!("\"{user}\" \"\"\n")).unwrap();
        let text = format!(
            "[databases]\n* = host={host} port={}\n[pgbouncer]\nunix_socket_dir = {}\nlisten_addr =\nauth_type = trust\n\
             auth_file = {}\n{settings}\n",
            server.get_ports().first().copied().unwrap_or(5432),
            folder.path().display(),
            users.display(),
        );
        std::fs::write(&ini, text).unwrap();
        let mut command = Command::new(program);
        if Uid::effective().is_root() {
            // It refuses to run as root.
            let postgres = User::from_name("postgres").unwrap().unwrap();
            for path in [folder.path(), &ini, &users] {
                chown(path, Some(postgres.uid), Some(postgres.gid)).unwrap();
            }
            command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
        }
        let child = command
            .arg(&ini)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bouncer = PgBouncer { child, folder };
        let target = Target::from_url(&bouncer.url(db), "test").unwrap();
        for _ in 0..200 {
            if connect(&target, "test").await.is_ok() {
                return Some(bouncer);
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("pgbouncer did not start");
    }

    /// The way to a test's database through it.
    pub fn url(&self, db: &TestDb) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgresql://postgres@/{}?host={folder}&port=6432", db.name())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
