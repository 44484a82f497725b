//! Looks at a host for what commonly stands in the way of backups.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;

use super::client::{Call, Client, TOKEN_FILE};
use super::config;
use super::outbox::{Layout, Place};
use super::settings::Settings;
use crate::ground::clock;
use crate::ground::wire::config::SourceKind;

/// A host's clock may be off by this much before events are set right by the server.
const SKEW_SECONDS: i64 = 60;

/// Free space below which an outbox soon has no room, in bytes: its own bound.
const FREE_BYTES: u64 = 64 * 1024 * 1024;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    /// What was found well, or what is wrong with its remedy.
    pub words: String,
    pub is_well: bool,
}

fn well(name: &'static str, words: impl Into<String>) -> Check {
    Check { name, words: words.into(), is_well: true }
}

fn ill(name: &'static str, words: impl Into<String>) -> Check {
    Check { name, words: words.into(), is_well: false }
}

/// Looks at everything; one fault hides no other.
pub async fn examine(root: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let settings = match Settings::read(root) {
        Ok(settings) => {
            checks.push(well("settings", "agent.toml can be read"));
            settings
        }
        Err(error) => {
            checks.push(ill("settings", error.to_string()));
            Settings::default()
        }
    };
    checks.push(directory(root));
    checks.push(disk(root));
    checks.push(token(root));
    checks.extend(server(root, &settings).await);
    checks.extend(groups(root, &settings));
    checks
}

fn directory(root: &Path) -> Check {
    match Layout::existing(root) {
        Err(error) => ill("directory", error.to_string()),
        Ok(layout) => {
            let refused: usize = [Place::Conflict, Place::Dead]
                .map(|place| layout.names(place).map_or(0, |names| names.len()))
                .iter()
                .sum();
            if refused > 0 {
                return ill("outbox", "reports were refused; look at them with \"highwater outbox list\"");
            }
            let agent =
                layout.holder().map_or("no agent runs".to_owned(), |pid| format!("process {pid} is on duty"));
            well("outbox", format!("no report was refused; {agent}"))
        }
    }
}

fn disk(root: &Path) -> Check {
    match nix::sys::statvfs::statvfs(root) {
        Ok(found) => {
            // The kernel counts in types that differ by platform.
            #[allow(clippy::useless_conversion, reason = "u32 on some platforms")]
            let free_bytes = u64::from(found.blocks_available()) * u64::from(found.fragment_size());
            if free_bytes < FREE_BYTES {
                ill("disk", format!("{free_bytes} bytes are free; reports need {FREE_BYTES}"))
            } else {
                well("disk", format!("{} MiB are free", free_bytes >> 20))
            }
        }
        Err(error) => ill("disk", format!("{}: {error}", root.display())),
    }
}

fn token(root: &Path) -> Check {
    let path = root.join(TOKEN_FILE);
    match std::fs::metadata(&path) {
        Err(_) => ill("token", "there is none; \"highwater agent enrol\" gets one"),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            ill("token", format!("others may read it; chmod 600 {}", path.display()))
        }
        Ok(_) => well("token", "is there, for this user only"),
    }
}

/// Asks for the configuration, which changes nothing, and compares the clocks.
async fn server(root: &Path, settings: &Settings) -> Vec<Check> {
    let client = match Client::new(root, settings) {
        Ok(client) => client,
        Err(error) => return vec![ill("server", error.to_string())],
    };
    let asked = clock::local_now();
    let call = Call { method: "GET", path: "/v1/agent/config", ..Call::default() };
    let reply = match client.call(call).await {
        Ok(reply) => reply,
        Err(error) => return vec![ill("server", error.to_string())],
    };
    let mut checks = vec![if reply.status == 200 {
        well("server", format!("{} answers", client.base()))
    } else {
        ill("server", format!("{} answers with {}", client.base(), reply.words()))
    }];
    if let Some(date) = reply.date {
        let skew = (asked - date).num_seconds();
        checks.push(if skew.abs() > SKEW_SECONDS {
            ill(
                "clock",
                format!("is {skew} s ahead of the server's; events are set right, slots may be late"),
            )
        } else {
            well("clock", "agrees with the server's")
        });
    }
    checks
}

/// What groups need of the host: programs, hooks and passwords.
fn groups(root: &Path, settings: &Settings) -> Vec<Check> {
    let config = match config::read(root) {
        Ok(Some(config)) => config,
        Ok(None) => return vec![ill("groups", "no configuration yet; \"highwater agent run\" fetches it")],
        Err(error) => return vec![ill("groups", error.to_string())],
    };
    let mut checks: Vec<Check> =
        config::faults(&config, settings).into_iter().map(|fault| ill("groups", fault)).collect();
    if config.groups.iter().any(|group| group.kind == SourceKind::Restic) {
        let asked = std::process::Command::new("restic").arg("version").output();
        checks.push(match asked {
            Ok(output) => well("restic", String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            Err(error) => {
                ill("restic", format!("cannot be started ({error}); install the package \"restic\""))
            }
        });
    }
    let mut hooks = vec![&settings.hooks.pre_access, &settings.hooks.post_access];
    for group in &config.groups {
        hooks.extend([&group.pre_hook, &group.post_hook]);
    }
    for hook in hooks.into_iter().flatten() {
        // A line for the shell; where it begins with a path, that can be looked at.
        let program = Path::new(hook.split_whitespace().next().unwrap_or_default());
        if program.is_absolute() {
            let mode = std::fs::metadata(program).map(|found| found.permissions().mode());
            match mode {
                Ok(mode) if mode & 0o111 != 0 => {}
                Ok(_) => checks
                    .push(ill("hooks", format!("{0} is not executable; chmod +x {0}", program.display()))),
                Err(error) => checks.push(ill("hooks", format!("{}: {error}", program.display()))),
            }
        }
    }
    for (name, own) in &settings.repository {
        if let Some(path) = &own.password_file
            && let Err(error) = std::fs::metadata(path)
        {
            checks.push(ill("passwords", format!("of {name}: {}: {error}", path.display())));
        }
    }
    if checks.iter().all(|check| check.is_well) {
        checks.push(well("groups", format!("{} can run here", config.groups.len())));
    }
    checks
}
