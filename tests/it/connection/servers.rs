//! Servers with certificates of every kind, on ports of their own, and psql to ask the same of them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, User, chown};

use crate::support::database::reachable_directory;

/// What a server shows as its certificate.
pub const KINDS: [(&str, &str); 6] = [
    ("good", "signed by our authority for localhost"),
    ("other", "signed by our authority for another name"),
    ("expired", "signed by our authority, out of date"),
    ("selfsigned", "signed by itself for localhost"),
    ("commonname", "signed by our authority, its name only in the subject"),
    ("plain", "none: a server without TLS"),
];

/// Who may come in how.
const HBA: &str = "local all all trust
hostssl all tls 127.0.0.1/32 scram-sha-256
hostnossl all tls 127.0.0.1/32 reject
hostnossl all clear 127.0.0.1/32 scram-sha-256
hostssl all clear 127.0.0.1/32 reject
hostssl all cert 127.0.0.1/32 cert
host all either 127.0.0.1/32 scram-sha-256
";

const USERS: &str = "CREATE ROLE tls LOGIN PASSWORD 's3cret'; CREATE ROLE clear LOGIN PASSWORD 's3cret';
CREATE ROLE cert LOGIN; CREATE ROLE either LOGIN PASSWORD 's3cret';
CREATE DATABASE app;";

/// Long enough for a server to start on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Servers {
    folder: tempfile::TempDir,
    bin: PathBuf,
    running: Vec<Server>,
}

pub struct Server {
    pub kind: &'static str,
    pub port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

impl Servers {
    /// Starts a server for each kind; `None` where openssl or psql is missing.
    pub fn start(kinds: &[&'static str]) -> Option<Servers> {
        let Some(bin) = bin().filter(|bin| bin.join("psql").exists() && has_openssl()) else {
            assert!(highwater::ground::config::env("CI").is_none(), "CI must have psql and openssl");
            eprintln!("not tried: no psql or no openssl here");
            return None;
        };
        let folder = reachable_directory();
        certificates(folder.path());
        let mut servers = Servers { folder, bin, running: Vec::new() };
        servers.template();
        for kind in kinds {
            let server = servers.launch(kind);
            servers.running.push(server);
        }
        Some(servers)
    }

    pub fn of(&self, kind: &str) -> &Server {
        self.running.iter().find(|server| server.kind == kind).unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file that the certificates' maker wrote.
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// psql with a clean environment; its home has no certificates.
    pub fn psql(&self, conninfo: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .args(["-X", "-A", "-t", "-w", "-c", ASK, "-d", conninfo]);
        command
    }

    fn as_owner(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        if !Uid::effective().is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    }

    /// A data directory that the servers' are copied from.
    fn template(&self) {
        let data = self.folder.path().join("template");
        std::fs::create_dir(&data).unwrap();
        own(&data);
        let mut initdb = self.as_owner("initdb");
        initdb.args([
            "-D",
            &data.display().to_string(),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "--wal-segsize=1",
        ]);
        quiet(&mut initdb);
        std::fs::write(data.join("pg_hba.conf"), HBA).unwrap();
        let mut single = self.as_owner("postgres");
        single.args(["--single", "-F", "-D", &data.display().to_string(), "postgres"]).stdin(Stdio::piped());
        let mut child = single.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        use std::io::Write as _;
        // One statement a line, as the single-user mode reads them.
        let statements = USERS.replace('\n', "").replace("; ", ";\n").replace(';', ";\n");
        child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn launch(&self, kind: &'static str) -> Server {
        let data = self.folder.path().join(kind);
        quiet(Command::new("cp").arg("-a").arg(self.folder.path().join("template")).arg(&data));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", data.display()),
            "fsync=off".to_owned(),
            "shared_buffers=16MB".to_owned(),
            "max_connections=20".to_owned(),
        ];
        if kind != "plain" {
            for (name, ending) in [("ssl_cert_file", "crt"), ("ssl_key_file", "key")] {
                let file = data.join(format!("server.{ending}"));
                std::fs::copy(self.folder.path().join(format!("{kind}.{ending}")), &file).unwrap();
                private(&file);
                own(&file);
                settings.push(format!("{name}={}", file.display()));
            }
            settings.push("ssl=on".to_owned());
            settings.push(format!("ssl_ca_file={}", self.file("ca.crt")));
        }
        let mut postgres = self.as_owner("postgres");
        postgres.arg("-D").arg(&data);
        for setting in &settings {
            postgres.args(["-c", setting]);
        }
        let log = std::fs::File::create(self.folder.path().join(format!("{kind}.log"))).unwrap();
        let child = postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let server = Server { kind, port, child };
        let begun = Instant::now();
        while !answers(
            &mut self.psql(&format!("host={} port={port} user=postgres dbname=app", data.display())),
        ) {
            let log =
                std::fs::read_to_string(self.folder.path().join(format!("{kind}.log"))).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{kind} did not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

/// Whether the session is encrypted, and as whom in which database it is.
pub const ASK: &str = "SELECT s.ssl::text || ' ' || current_user || ' ' || current_database() \
    FROM pg_catalog.pg_stat_ssl AS s WHERE s.pid = pg_catalog.pg_backend_pid()";

fn answers(command: &mut Command) -> bool {
    command.output().unwrap().status.success()
}

fn quiet(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn has_openssl() -> bool {
    Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success())
}

/// The folder of Postgres's programs, as the embedded server finds them.
fn bin() -> Option<PathBuf> {
    if let Some(bin) = highwater::ground::config::env_path("HIGHWATER_PG_BIN") {
        return Some(bin);
    }
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| entry.ok())
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn own(path: &Path) {
    if Uid::effective().is_root() {
        let postgres = User::from_name("postgres").unwrap().unwrap();
        chown(path, Some(postgres.uid), Some(Gid::from_raw(postgres.gid.as_raw()))).unwrap();
    }
}

pub fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// An authority, a stranger's authority, a certificate of each kind, and one for the user `cert`.
fn certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| quiet(Command::new("openssl").current_dir(folder).args(arguments));
    let authority = |name: &str| {
        let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=an authority",
            "-keyout",
            &key,
            "-out",
            &crt,
        ]);
    };
    authority("ca");
    authority("stranger");
    let signed = |name: &str, subject: &str, extension: &str, days: &str| {
        let (key, csr, crt, ext) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"), format!("{name}.ext"));
        std::fs::write(folder.join(&ext), extension).unwrap();
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            &key,
            "-out",
            &csr,
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            &ext,
            "-out",
            &crt,
        ]);
        private(&folder.join(&key));
    };
    signed("good", "/CN=ignored", "subjectAltName=DNS:localhost", "2");
    signed("other", "/CN=localhost", "subjectAltName=DNS:db.elsewhere", "2");
    signed("expired", "/CN=ignored", "subjectAltName=DNS:localhost", "-1");
    signed("commonname", "/CN=localhost", "basicConstraints=CA:FALSE", "2");
    signed("client", "/CN=cert", "basicConstraints=CA:FALSE", "2");
    // The way Postgres's documentation makes one: its own authority.
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-keyout",
        "selfsigned.key",
        "-out",
        "selfsigned.crt",
    ]);
    std::fs::copy(folder.join("client.key"), folder.join("open.key")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder.join("open.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
}
