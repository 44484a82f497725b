//! PG* variables, password and service files: the program and psql in one environment.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::servers::{Servers, private};
use crate::support::program::{command, run};

/// Where psql got in, and the program, and what the program said.
async fn both(servers: &Servers, variables: &[(&str, &str)]) -> (bool, bool, String) {
    let mut psql = servers.psql("");
    let mut own = command(&["migrate", "status", "--connect-wait", "0s"]);
    own.env("HOME", servers.folder());
    for (name, value) in variables {
        psql.env(name, value);
        own.env(name, value);
    }
    let psql = psql.output().unwrap().status.success();
    let own = run(&mut own).await;
    // A database without highwater is a session all the same.
    let is_in = own.code() == 0 || own.code() == 3;
    (psql, is_in, own.stderr)
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    private(path);
    path.display().to_string()
}

/// Variables and the files that they name.
pub async fn variables(servers: &Servers) {
    let port = servers.of("good").port.to_string();
    let ca = servers.file("ca.crt");
    let folder = servers.folder();
    let passwords = write(&folder.join("passwords"), "localhost:*:app:either:s3cret\n*:*:*:*:wrong\n");
    let open = write(&folder.join("open-passwords"), "*:*:*:*:s3cret\n");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let services = write(
        &folder.join("services"),
        &format!(
            "[app]\nhost=localhost\nport={port}\nuser=either\ndbname=app\npassword=s3cret\n[bad]\nhost\n"
        ),
    );
    let base = [
        ("PGHOST", "localhost"),
        ("PGHOSTADDR", "127.0.0.1"),
        ("PGPORT", port.as_str()),
        ("PGDATABASE", "app"),
    ];
    let with = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let only = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let cases = [
        with(&[("PGUSER", "either"), ("PGPASSWORD", "s3cret")]),
        with(&[("PGUSER", "either"), ("PGPASSWORD", "wrong")]),
        with(&[("PGUSER", "either"), ("PGPASSFILE", &passwords)]),
        with(&[("PGUSER", "clear"), ("PGPASSFILE", &passwords)]),
        with(&[("PGUSER", "either"), ("PGPASSFILE", &open)]),
        with(&[
            ("PGUSER", "either"),
            ("PGPASSWORD", "s3cret"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", &ca),
        ]),
        with(&[("PGUSER", "either"), ("PGPASSWORD", "s3cret"), ("PGSSLMODE", "verify-full")]),
        with(&[("PGUSER", "clear"), ("PGPASSWORD", "s3cret"), ("PGSSLMODE", "require")]),
        with(&[("PGUSER", "either"), ("PGPASSWORD", "s3cret"), ("PGTARGETSESSIONATTRS", "read-only")]),
        with(&[("PGUSER", "either"), ("PGPASSWORD", "s3cret"), ("PGOPTIONS", "-c no_such_setting=1")]),
        with(&[
            ("PGUSER", "either"),
            ("PGPASSWORD", "s3cret"),
            ("PGCHANNELBINDING", "require"),
            ("PGSSLMODE", "disable"),
        ]),
        with(&[("PGUSER", "either"), ("PGPASSWORD", "s3cret"), ("PGCONNECT_TIMEOUT", "5")]),
        with(&[
            ("PGUSER", "cert"),
            ("PGSSLCERT", &servers.file("client.crt")),
            ("PGSSLKEY", &servers.file("client.key")),
        ]),
        only(&[("PGSERVICE", "app"), ("PGSERVICEFILE", &services)]),
        only(&[("PGSERVICE", "app"), ("PGSERVICEFILE", &services), ("PGPASSWORD", "wrong")]),
        only(&[("PGSERVICE", "none"), ("PGSERVICEFILE", &services)]),
        only(&[("PGSERVICE", "bad"), ("PGSERVICEFILE", &services)]),
        only(&[("PGSERVICE", "app"), ("PGSERVICEFILE", "/no/such/file")]),
    ];
    let (mut differences, mut sessions) = (Vec::new(), 0);
    for case in &cases {
        let variables: Vec<(&str, &str)> =
            case.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (psql, own, stderr) = both(servers, &variables).await;
        assert!(!stderr.contains("s3cret"), "{stderr}");
        sessions += usize::from(psql);
        if psql != own {
            differences.push(format!("{variables:?}: psql {psql}, ours {own}: {stderr}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(sessions > 4 && cases.len() - sessions > 4, "{sessions}");
}
