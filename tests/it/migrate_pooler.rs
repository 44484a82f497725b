//! Behind a pooler that hands out server processes by transaction no lock holds: the run refuses, nothing touched.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use highwater::db::connect::connect;
use highwater::db::target::Target;
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, chown};

use crate::migrate_database::{Ended, Folder, TestDb, migrate_at, signal};

const FILES: &[(&str, &str)] = &[("V1__a.sql", "CREATE TABLE a ();")];

/// A pgbouncer of its own; `None` where none is installed.
struct PgBouncer {
    child: Child,
    folder: tempfile::TempDir,
}

impl PgBouncer {
    async fn start(db: &TestDb, settings: &str) -> Option<PgBouncer> {
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

    fn url(&self, db: &TestDb) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgresql://postgres@/{}?host={folder}&port=6432", db.name())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        signal(&self.child, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Runs `migrate up` through a pgbouncer of these settings.
async fn through(settings: &str, args: &[&str]) -> Option<(TestDb, Ended)> {
    let db = TestDb::empty().await;
    let bouncer = PgBouncer::start(&db, settings).await?;
    let run = migrate_at(&bouncer.url(&db), &[&["up"], args].concat(), Some(&Folder::with(FILES))).await;
    Some((db, run))
}

async fn refused(settings: &str, args: &[&str], words: &str) {
    let Some((db, run)) = through(settings, args).await else { return };
    assert_eq!(run.code, 8, "{settings}: {run:?}");
    assert!(run.err.contains("nothing was touched") && run.err.contains(words), "{settings}: {run:?}");
    let touched = "SELECT nspname FROM pg_namespace WHERE nspname = 'highwater'
                   UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(db.texts(touched).await, [""; 0]);
}

#[tokio::test]
async fn a_transaction_pool_is_refused_by_each_probe_alone() {
    refused("pool_mode = transaction", &[], "it refuses start-up settings").await;
    refused(
        "pool_mode = transaction\nignore_startup_parameters = options",
        &[],
        "it drops start-up settings",
    )
    .await;
    refused(
        "pool_mode = transaction",
        &["--pooler=session"],
        "its connections share or change server processes",
    )
    .await;
}

#[tokio::test]
async fn a_session_pool_is_safe_when_it_is_named() {
    refused("pool_mode = session", &[], "--pooler=session").await;
    let Some((db, run)) = through("pool_mode = session", &["--pooler=session"]).await else { return };
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(db.versions().await, ["1"]);
}
