//! The machine that this process runs on.

/// Its name, for people; nothing rests on it.
pub fn name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "host".to_owned())
}
