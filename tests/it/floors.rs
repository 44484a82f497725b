//! The floors of the house: a wing imports from the wings below it and from no other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each wing and its floor, counted from the ground up. Wings of one floor import nothing from each other, except that
/// the demo may stand beside the commands, whose argument types it shares.
const FLOORS: [(&str, u8); 13] = [
    ("ground", 0),
    ("db", 1),
    ("rollup", 2),
    ("migrate", 3),
    ("job", 3),
    ("scheduler", 4),
    ("agent", 6),
    ("api", 6),
    ("demo", 7),
    ("command", 7),
    ("cli", 8),
    ("lib", 9),
    ("main", 10),
];

/// Beside each other: `command` reads the global flags that `cli` declares, and the demo may use both.
const BESIDE: [(&str, &str); 3] = [("command", "cli"), ("command", "demo"), ("demo", "command")];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The wings that a file names: after `use crate::`, in braces too, and in paths that begin with `crate::`.
fn named(text: &str) -> Vec<String> {
    let mut wings = Vec::new();
    for (place, _) in text.match_indices("crate::") {
        let rest = &text[place + "crate::".len()..];
        let word = |text: &str| {
            text.chars().take_while(|one| one.is_ascii_alphanumeric() || *one == '_').collect::<String>()
        };
        match rest.strip_prefix('{').and_then(|list| list.split_once("};")) {
            Some((list, _)) => {
                wings.extend(list.split(',').map(|item| word(item.trim())).filter(|wing| !wing.is_empty()))
            }
            None => wings.push(word(rest)),
        }
    }
    wings
}

/// What breaks the rule in a file of `wing`.
fn faults(floors: &BTreeMap<&str, u8>, wing: &str, text: &str) -> Vec<String> {
    named(text)
        .into_iter()
        .filter(|other| other != wing && !BESIDE.contains(&(wing, other.as_str())))
        .filter(|other| match (floors.get(wing), floors.get(other.as_str())) {
            (Some(own), Some(below)) => below >= own,
            _ => true,
        })
        .collect()
}

#[test]
fn imports_run_only_downward() {
    let floors = BTreeMap::from(FLOORS);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "{files:?}");
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let wing = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let text = std::fs::read_to_string(&file).unwrap();
        let wrong = faults(&floors, wing, &text);
        assert!(
            wrong.is_empty(),
            "{} imports from {wrong:?}, which {wing} does not stand on",
            inside.display()
        );
    }
}

#[test]
fn an_import_from_above_or_from_nowhere_is_found() {
    let floors = BTreeMap::from(FLOORS);
    assert_eq!(faults(&floors, "db", "use crate::rollup::RollupName;"), ["rollup"]);
    assert_eq!(faults(&floors, "rollup", "let x = crate::migrate::up();"), ["migrate"]);
    assert_eq!(faults(&floors, "rollup", "use crate::{db::DbError, command::table};"), ["command"]);
    assert_eq!(faults(&floors, "rollup", "use crate::utils::x;"), ["utils"]);
    assert!(
        faults(&floors, "migrate", "use crate::rollup::RollupName; use crate::ground::exit::Exit;")
            .is_empty()
    );
}
