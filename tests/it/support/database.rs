//! One database per test, on one throw-away server for all test processes of a checkout.
//!
//! The server starts with the first test that wants a database and is wiped when the last test process is gone, so
//! databases are not dropped one by one. Its directory is keyed by user and target directory: checkouts side by side do
//! not meet.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use highwater::db::embedded::{self, Options, Server};
use highwater::db::target::Target;
use highwater::db::{Executor, Session, connect};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// The program under test, which also keeps the servers.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater");

/// How long the shared server waits for the next test program.
const GRACE: Duration = Duration::from_secs(3);

/// The shared server's lease is held until the process ends.
static SERVER: OnceCell<Server> = OnceCell::const_new();

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A database of one test; the superuser of its server is the user.
pub struct TestDb {
    server: Server,
    name: String,
}

impl TestDb {
    /// An empty database.
    pub async fn empty() -> TestDb {
        TestDb::copy_of("template0").await
    }

    /// A copy of a template, which `build` fills if it does not exist yet; one process builds, others wait.
    ///
    /// `name` says what `build` makes, and ends with a hash of everything that it depends on.
    pub async fn from_template<F, W>(name: &str, build: F) -> TestDb
    where
        F: FnOnce(Target) -> W,
        W: Future<Output = ()>,
    {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{name}");
        let template = format!("template_{name}");
        let server = shared_server().await;
        let admin = session_on(&server, "postgres").await;
        if !is_template(&admin, &template).await {
            admin
                .query("SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 0))", &[&template])
                .await
                .unwrap();
            if !is_template(&admin, &template).await {
                // Not a template yet: what is there is half built.
                admin.batch(&format!("DROP DATABASE IF EXISTS \"{template}\" WITH (FORCE)")).await.unwrap();
                admin.batch(&format!("CREATE DATABASE \"{template}\" TEMPLATE template0")).await.unwrap();
                build(target_on(&server, &template)).await;
                let seal =
                    format!("ALTER DATABASE \"{template}\" WITH ALLOW_CONNECTIONS false IS_TEMPLATE true");
                admin.batch(&seal).await.unwrap();
                // Sessions that `build` has dropped may still be closing; a template must be left alone.
                admin
                    .query(
                        "SELECT pg_catalog.pg_terminate_backend(pid, 10000) \
                           FROM pg_catalog.pg_stat_activity WHERE datname = $1",
                        &[&template],
                    )
                    .await
                    .unwrap();
            }
            // The lock ends with the session.
        }
        drop(admin);
        TestDb::copy_of(&template).await
    }

    async fn copy_of(template: &str) -> TestDb {
        let server = shared_server().await;
        let name = unique_name();
        let admin = session_on(&server, "postgres").await;
        // Twice as fast as WAL_LOG on a server that does not sync.
        let create = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\" STRATEGY FILE_COPY");
        admin.batch(&create).await.unwrap();
        TestDb { server, name }
    }

    /// A server of the test's own, with everything that makes it survive a crash.
    pub async fn durable_server() -> OwnServer {
        OwnServer::start(true).await
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub fn target(&self) -> Target {
        target_on(&self.server, &self.name)
    }

    pub async fn session(&self) -> Session {
        session_on(&self.server, &self.name).await
    }
}

/// A server of one test, stopped and removed when this is dropped.
pub struct OwnServer {
    pub server: Server,
    directory: tempfile::TempDir,
}

impl OwnServer {
    async fn start(durable: bool) -> OwnServer {
        let directory = reachable_directory();
        let options = Options {
            directory: Some(directory.path().join("pg")),
            durable,
            grace: GRACE,
            keeper_program: Some(PathBuf::from(PROGRAM)),
            wipe_at_stop: false,
        };
        OwnServer { server: embedded::start(&options).await.unwrap(), directory }
    }

    pub fn directory(&self) -> PathBuf {
        self.directory.path().join("pg")
    }

    pub fn target(&self) -> Target {
        target_on(&self.server, highwater::db::target::EMBEDDED_DATABASE)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        stop(&self.directory());
    }
}

/// Stops the server in `directory`, if one runs, and waits for its end.
pub fn stop(directory: &Path) {
    let stopped = std::process::Command::new(PROGRAM)
        .args(["postgres", "stop"])
        .env("HIGHWATER_PG_DIR", directory)
        .output()
        .expect("the program runs");
    if !stopped.status.success() && !std::thread::panicking() {
        panic!("postgres stop: {}", String::from_utf8_lossy(&stopped.stderr));
    }
}

/// A temporary directory that the server's user can pass through.
pub fn reachable_directory() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::Builder::new()
        .prefix("highwater-it-")
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir_in("/tmp")
        .unwrap();
    // The mode at creation is cut by the umask.
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    directory
}

async fn shared_server() -> Server {
    let start = async || {
        let user = nix::unistd::geteuid();
        let key = Sha256::digest(format!("{user} {PROGRAM}").as_bytes());
        let key: String = key.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let options = Options {
            directory: Some(PathBuf::from(format!("/tmp/highwater-test-{key}"))),
            durable: false,
            grace: GRACE,
            keeper_program: Some(PathBuf::from(PROGRAM)),
            wipe_at_stop: true,
        };
        embedded::start(&options).await.unwrap()
    };
    SERVER.get_or_init(start).await.clone()
}

async fn is_template(admin: &Session, name: &str) -> bool {
    let found = admin
        .query_opt("SELECT datistemplate FROM pg_catalog.pg_database WHERE datname = $1", &[&name])
        .await
        .unwrap();
    found.is_some_and(|row| row.get(0))
}

fn target_on(server: &Server, database: &str) -> Target {
    Target::from_url(&server.url(database), "the test server").unwrap()
}

async fn session_on(server: &Server, database: &str) -> Session {
    connect::connect(&target_on(server, database), "test").await.unwrap()
}

/// Unique on the shared server, which may outlive a process and see its id again.
fn unique_name() -> String {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{}_{number}", since_1970.as_micros(), std::process::id())
}
