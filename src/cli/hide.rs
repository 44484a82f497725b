//! A password in `--database-url` would stand in the process list for as long as the program runs. So the program
//! starts itself again without the flag, the URL in its environment, which only the same user can read.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Environment variable through which the URL travels; stands for the flag.
pub const HANDED_OVER: &str = "HIGHWATER_FLAG_DATABASE_URL";

/// Replaces this process by one without `url` among its arguments. Returns only when that fails.
pub fn restart_without(url: &str) -> std::io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("highwater"));
    Command::new(program).arg0(name).args(without(arguments, url)).env(HANDED_OVER, url).exec()
}

/// The arguments without the flag and its value, in both spellings.
fn without(arguments: impl Iterator<Item = OsString>, url: &str) -> Vec<OsString> {
    let joined = OsString::from(format!("{FLAG}={url}"));
    let mut kept: Vec<OsString> = Vec::new();
    for argument in arguments {
        if argument == joined {
            continue;
        }
        if argument == OsStr::new(url) && kept.last().is_some_and(|last| last == FLAG) {
            kept.pop();
            continue;
        }
        kept.push(argument);
    }
    kept
}

const FLAG: &str = "--database-url";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_in_both_spellings_and_nothing_else() {
        let url = "postgresql://ann:pw@db/app";
        let given =
            ["--database-url", url, "backfill", "x", "--database-url=postgresql://ann:pw@db/app", "-v"];
        let kept = without(given.iter().map(OsString::from), url);
        assert_eq!(kept, ["backfill", "x", "-v"]);
    }
}
