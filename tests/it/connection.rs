//! Connections are made as psql makes them: the same strings against the same servers, the same outcome.

mod cases;
mod servers;
mod variables;

use servers::{KINDS, Servers};

#[tokio::test]
async fn a_connection_ends_as_it_does_with_psql() {
    let kinds: Vec<&'static str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let Some(servers) = Servers::start(&kinds) else { return };
    cases::modes(&servers).await;
    cases::logins_and_hosts(&servers).await;
    cases::reasons(&servers).await;
    variables::variables(&servers).await;
}
