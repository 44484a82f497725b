//! A password file: `host:port:database:user:password` lines, the first that fits counts.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::Parameters;
use crate::ground::config;

/// Bits of a file's mode that let others than its owner at it.
const OTHERS: u32 = 0o077;

/// The password of one host, from `passfile` or `~/.pgpass`. A file that others may read is passed over with a warning,
/// as libpq does. `host` is `localhost` for a Unix socket in the default directory, else its directory.
pub fn password(
    parameters: &Parameters,
    host: &str,
    port: u16,
    database: &str,
    user: &str,
) -> Option<String> {
    let file = match parameters.get("passfile") {
        Some(file) => PathBuf::from(file),
        None => config::env_path("HOME")?.join(".pgpass"),
    };
    let text = guarded(&file)?;
    find(&text, [host, &port.to_string(), database, user])
}

/// The file's text, if it is one that only its owner can read.
fn guarded(file: &Path) -> Option<String> {
    let metadata = std::fs::metadata(file).ok()?;
    if !metadata.is_file() {
        warn!(file = %file.display(), "password file {} is not a plain file; passed over", file.display());
        return None;
    }
    if metadata.mode() & OTHERS != 0 {
        warn!(
            file = %file.display(),
            "password file {} can be read by others; passed over; run \"chmod 600\" on it",
            file.display()
        );
        return None;
    }
    std::fs::read_to_string(file).ok()
}

fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [four @ .., password] = fields.as_slice() else { return None };
        let fits = four.len() == wanted.len()
            && four.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        (fits && !password.is_empty()).then(|| password.clone())
    })
}

/// The five fields of a line; a backslash takes the next character as it is, the fifth field takes the rest.
fn fields(line: &str) -> Vec<String> {
    const FIELDS: usize = 5;
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let last = fields.len() - 1;
        match letter {
            '\\' => fields[last].extend(letters.next()),
            ':' if fields.len() < FIELDS => fields.push(String::new()),
            letter => fields[last].push(letter),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# c\nother:5432:*:*:no\n*:5432:app:ann:s3\\:cret\\\\\n*:*:*:*:last\n";
        assert_eq!(find(text, ["db", "5432", "app", "ann"]).unwrap(), "s3:cret\\");
        assert_eq!(find(text, ["db", "6000", "app", "ann"]).unwrap(), "last");
        assert_eq!(find("db:5432:app\n", ["db", "5432", "app", "ann"]), None);
    }
}
