//! One connection string after the other, by psql and by us.

use highwater::db::target::Target;
use highwater::db::{Executor, connect};

use super::servers::{ASK, KINDS, Servers};

/// What came of a string: what the session said of itself, or why there is none.
async fn ours(conninfo: &str) -> Result<String, String> {
    let target = Target::from_url(conninfo, "the test").map_err(|error| error.to_string())?;
    let session = connect::connect(&target, "test").await.map_err(|error| error.to_string())?;
    let row = session.query_one(ASK, &[]).await.map_err(|error| error.to_string())?;
    Ok(row.get::<_, String>(0))
}

fn psqls(servers: &Servers, conninfo: &str) -> Result<String, String> {
    let output = servers.psql(conninfo).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Compares every string; all differences are told at once.
async fn compare(servers: &Servers, cases: &[String]) -> usize {
    let mut differences = Vec::new();
    let mut sessions = 0;
    for conninfo in cases {
        let (psql, own) = (psqls(servers, conninfo), ours(conninfo).await);
        sessions += usize::from(psql.is_ok());
        let same = match (&psql, &own) {
            (Ok(psql), Ok(own)) => psql == own,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        if !same {
            differences.push(format!("{conninfo}\n  psql: {psql:?}\n  ours: {own:?}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
    sessions
}

/// Six modes on servers of six kinds.
pub async fn modes(servers: &Servers) {
    let kinds: Vec<&'static str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let mut cases = Vec::new();
    for kind in kinds {
        let server = servers.of(kind);
        for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
            for roots in ["missing.crt", "ca.crt", "stranger.crt", "selfsigned.crt"] {
                cases.push(format!(
                    "host=localhost hostaddr=127.0.0.1 port={} user=either password=s3cret dbname=app sslmode={mode} \
                     sslrootcert={}",
                    server.port,
                    servers.file(roots)
                ));
            }
        }
    }
    let sessions = compare(servers, &cases).await;
    // Both kinds of outcome are many, so that agreement says something.
    assert!(sessions > 40 && cases.len() - sessions > 40, "{sessions} of {}", cases.len());
}

/// Logins, lists of hosts, attributes of sessions, and strings that cannot be read.
pub async fn logins_and_hosts(servers: &Servers) {
    let (tls, plain) = (servers.of("good").port, servers.of("plain").port);
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (ca, crt, key, open) = (
        servers.file("ca.crt"),
        servers.file("client.crt"),
        servers.file("client.key"),
        servers.file("open.key"),
    );
    let socket = servers.file("good");
    let mut cases = Vec::new();
    // Servers that take some users only with TLS, others only without: what allow and prefer are for.
    for user in ["tls", "clear", "either", "nobody"] {
        for mode in ["disable", "allow", "prefer", "require"] {
            cases.push(format!("host=localhost hostaddr=127.0.0.1 port={tls} user={user} password=s3cret dbname=app sslmode={mode}"));
        }
    }
    for binding in ["disable", "prefer", "require"] {
        for mode in ["disable", "require"] {
            cases.push(format!(
                "host=127.0.0.1 port={tls} user=either password=s3cret dbname=app sslmode={mode} channel_binding={binding}"
            ));
        }
    }
    for wanted in ["any", "read-write", "read-only", "primary", "standby", "prefer-standby", "best"] {
        cases.push(format!(
            "host=127.0.0.1,127.0.0.1 port={dead},{plain} user=either password=s3cret dbname=app target_session_attrs={wanted}"
        ));
    }
    let to = |rest: &str| format!("host=127.0.0.1 port={tls} {rest}");
    cases.extend([
        to("user=either password=wrong dbname=app"),
        to("user=either dbname=app"),
        to("user=either password=s3cret dbname=missing"),
        to("user=either password=s3cret dbname=app sslmode=strict"),
        to("user=either password=s3cret dbname=app connect_timeout=x"),
        to("user=either password=s3cret dbname=app connect_timeout=0"),
        to("user=either password=s3cret dbname=app options='-c search_path=pg_temp'"),
        to("user=either password=s3cret dbname=app options='-c no_such_setting=1'"),
        to("user=either password=s3cret dbname=app application_name='it''s'"),
        to("user=either password=s3cret dbname=app nonsense=1"),
        to(&format!("user=cert dbname=app sslmode=verify-ca sslrootcert={ca} sslcert={crt} sslkey={key}")),
        to(&format!("user=cert dbname=app sslmode=require sslcert={crt} sslkey={open}")),
        to(&format!("user=cert dbname=app sslmode=require sslcert={crt} sslkey={key}.missing")),
        to("user=cert dbname=app sslmode=require"),
        to(&format!("user=cert dbname=app sslmode=disable sslcert={crt} sslkey={key}")),
        // verify-full by the address that the certificate does not have
        to(&format!("user=either password=s3cret dbname=app sslmode=verify-full sslrootcert={ca}")),
        format!("host={socket} port={tls} user=postgres dbname=app sslmode=require"),
        format!("host={socket} port={tls} user=postgres dbname=app sslmode=verify-full sslrootcert={ca}"),
        format!("host=127.0.0.1 port={dead} user=either password=s3cret dbname=app"),
        format!("host=127.0.0.1,127.0.0.1 port={dead},{tls} user=either password=s3cret dbname=app"),
        format!("host=127.0.0.1,127.0.0.1 port={tls},{plain} user=tls password=wrong dbname=app"),
        format!("host=127.0.0.1,127.0.0.1,127.0.0.1 port={tls},{plain} user=either password=s3cret dbname=app"),
        format!("hostaddr=127.0.0.1,127.0.0.1 host=localhost port={tls} user=either password=s3cret dbname=app"),
        format!("hostaddr=not-an-address port={tls} user=either password=s3cret dbname=app"),
        format!("host=no-such-host.invalid port={tls} user=either password=s3cret dbname=app"),
        format!("host=no-such-host.invalid,127.0.0.1 port={tls} user=either password=s3cret dbname=app"),
        format!("postgresql://either:s3cret@127.0.0.1:{tls}/app?sslmode=require"),
        format!("postgresql://either:s3cret@127.0.0.1:{dead},127.0.0.1:{plain}/app?target_session_attrs=read-write"),
        format!("postgresql://either:s3%63ret@127.0.0.1:{tls}/app"),
        format!("postgresql://either:s3%zzret@127.0.0.1:{tls}/app"),
        format!("postgresql://either:s3cret@127.0.0.1:{tls}/app?sslmode"),
        format!("postgresql://either:s3cret@127.0.0.1:{tls}/app?no_such=1"),
        format!("postgresql://postgres@/app?host={}&port={tls}", socket.replace('/', "%2F")),
        format!("postgresql://postgres@{}:{tls}/app", socket.replace('/', "%2F")),
        format!("postgresql://either:s3cret@[127.0.0.1:{tls}/app"),
        "postgresql://either:s3cret@127.0.0.1:99999/app".to_owned(),
    ]);
    let sessions = compare(servers, &cases).await;
    assert!(sessions > 20 && cases.len() - sessions > 20, "{sessions} of {}", cases.len());
}

/// What a person is told.
pub async fn reasons(servers: &Servers) {
    let to = |kind: &str, rest: &str| {
        format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=either password=s3cret dbname=app {rest}",
            servers.of(kind).port
        )
    };
    let ca = servers.file("ca.crt");
    for (conninfo, expected) in [
        (
            to("other", &format!("sslmode=verify-full sslrootcert={ca}")),
            "connect by a name that the certificate has",
        ),
        (to("selfsigned", &format!("sslmode=verify-ca sslrootcert={ca}")), "the server has signed itself"),
        (to("other", "sslmode=verify-ca sslrootcert=/no/such/file"), "/no/such/file does not exist"),
        (to("other", "sslmode=require sslrootcert=system"), "needs sslmode=verify-full"),
        (to("other", "sslmode=require sslcrl=/x"), "sslcrl is not supported"),
    ] {
        let error = ours(&conninfo).await.unwrap_err();
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
}
