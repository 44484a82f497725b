//! Enrolment: a one-time code for a token, which never stands on a command line or in a log.

use std::path::Path;

use super::AgentError;
use super::client::{Call, Client, TOKEN_FILE};
use super::outbox::{Layout, Place, place_durably};
use super::settings::{FILE, Settings};
use crate::ground::wire::hello::{Enrol, Enrolled};

/// Exchanges a code, and keeps the token and the server's address in the agent's directory.
///
/// # Errors
///
/// [`AgentError::NotEnrolled`] with the server's words; then nothing was written.
pub async fn enrol(root: &Path, server: &str, code: &str) -> Result<Enrolled, AgentError> {
    let mut settings = Settings::read(root)?;
    settings.server = Some(server.to_owned());
    let client = Client::new(root, &settings)?;
    let asked = Enrol {
        code: code.to_owned(),
        hostname: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    };
    let body = serde_json::to_vec(&asked).expect("an enrolment has text keys only");
    let call = Call {
        method: "POST",
        path: "/v1/agent/enrol",
        body: Some(body),
        is_anonymous: true,
        ..Call::default()
    };
    let reply = client.call(call).await?;
    if !matches!(reply.status, 200 | 201) {
        return Err(AgentError::NotEnrolled { reason: reply.words() });
    }
    let enrolled: Enrolled = reply.read()?;
    let layout = Layout::create(root)?;
    let _lock = layout.lock()?;
    let aside = |name: &str| layout.directory(Place::Tmp).join(name);
    place_durably(&aside(TOKEN_FILE), &root.join(TOKEN_FILE), format!("{}\n", enrolled.token).as_bytes())?;
    let path = root.join(FILE);
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(AgentError::file("read", &path, error)),
    };
    place_durably(&aside(FILE), &path, with_server(&before, server).as_bytes())?;
    Ok(enrolled)
}

/// The settings with another server, and everything else as it was, comments too.
fn with_server(text: &str, server: &str) -> String {
    let line = format!("server = {}", toml::Value::String(server.to_owned()));
    // Only above the first table is it the agent's own.
    let mut is_top = true;
    let mut kept: Vec<&str> = Vec::new();
    for one in text.lines() {
        is_top &= !one.trim_start().starts_with('[');
        let is_server = is_top && one.split('=').next().is_some_and(|key| key.trim() == "server");
        if !is_server {
            kept.push(one);
        }
    }
    let rest: String = kept.into_iter().flat_map(|one| [one, "\n"]).collect();
    format!("{line}\n{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_leaves_everything_else_as_it_was() {
        let before =
            "# mine\nserver = \"https://old\"\n[gate]\nneeds_power = true\n[group.server]\nflag = \"/x\"\n";
        let after = with_server(before, "https://new");
        assert_eq!(
            after,
            "server = \"https://new\"\n# mine\n[gate]\nneeds_power = true\n[group.server]\nflag = \"/x\"\n"
        );
        assert_eq!(with_server("", "https://new"), "server = \"https://new\"\n");
    }
}
