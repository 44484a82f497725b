//! Names of migration files: `V12__drop_usage_daily.sql`. refinery skips a file whose name has another shape, with a
//! log line at most, and a skipped migration is noticed in production; here each is an error that says what to change.

/// What a file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Migration {
        version: i64,
        name: String,
    },
    /// Meant as a migration, but refinery would skip it, or apply it out of order.
    Fault(String),
    /// Nothing to do with migrations: a README, a rollup's definition.
    Other,
}

/// Reads the name of a file, without its folder.
///
/// ```
/// use highwater::migrate::name::{Named, read};
/// assert_eq!(read("V12__drop_daily.sql"), Named::Migration { version: 12, name: "drop_daily".to_owned() });
/// assert_eq!(read("README.md"), Named::Other);
/// assert!(matches!(read("V12_drop.sql"), Named::Fault(_)));
/// ```
pub fn read(file_name: &str) -> Named {
    let Some((stem, extension)) = file_name.rsplit_once('.') else { return Named::Other };
    if extension == "rs" && is_shaped(stem) {
        return fault(
            "migrations written in Rust cannot be loaded from a folder; rewrite it as SQL with a hook",
        );
    }
    if !extension.eq_ignore_ascii_case("sql") {
        return Named::Other;
    }
    if extension != "sql" {
        return fault("the ending must be .sql in lower case");
    }
    let Some(rest) = stem.strip_prefix('V') else {
        return fault(match stem.chars().next() {
            Some('v') => "the name must begin with an upper-case V",
            Some('U') => {
                "the prefix U (unversioned, applied out of order) is not supported; use V and a new version"
            }
            _ => "the name must have the shape V12__what_it_does.sql",
        });
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(digits);
    let Some(name) = rest.strip_prefix("__") else {
        return fault(match (digits, rest) {
            ("", _) => "the V must be followed by a version number",
            (_, rest) if rest.starts_with('.') => "the version must be a whole number",
            (_, rest) if rest.starts_with('_') => "two underscores must stand between version and name",
            _ => "the version must be followed by two underscores and a name",
        });
    };
    if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
        return fault("the name may hold letters, digits and underscores only");
    }
    if digits.is_empty() {
        return fault("the V must be followed by a version number");
    }
    match digits.parse() {
        Ok(version) => Named::Migration { version, name: name.to_owned() },
        Err(_) => fault("the version must fit a bigint"),
    }
}

fn is_shaped(stem: &str) -> bool {
    let rest = stem.strip_prefix(['V', 'U']).unwrap_or_default();
    rest.starts_with(|letter: char| letter.is_ascii_digit()) && rest.contains("__")
}

fn fault(what: &str) -> Named {
    Named::Fault(format!("{what}; refinery would skip or misorder this file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_refinery_would_skip_is_a_fault() {
        for bad in [
            "v3__lower.sql",
            "V4_single.sql",
            "V5__ok.SQL",
            "V6__ok.down.sql",
            "V2__foo-bar.sql",
            "U7__any.sql",
            "V1.5__half.sql",
            "V__none.sql",
            "V99999999999999999999__far.sql",
            "V8__.sql",
            "notes.sql",
            "V9__code.rs",
            "|1__x.sql",
            "V 1__x.sql",
        ] {
            assert!(matches!(read(bad), Named::Fault(_)), "{bad}: {:?}", read(bad));
        }
    }

    #[test]
    fn what_refinery_takes_is_taken_alike() {
        for (file_name, version) in
            [("V1__a.sql", 1), ("V01__a.sql", 1), ("V20260101120000__é_1.sql", 20_260_101_120_000)]
        {
            let Named::Migration { version: ours, name } = read(file_name) else { panic!("{file_name}") };
            let theirs = refinery::Migration::unapplied(file_name.trim_end_matches(".sql"), "").unwrap();
            assert_eq!((ours, name.as_str()), (theirs.version(), theirs.name()));
            assert_eq!(ours, version);
        }
    }

    #[test]
    fn files_of_other_kinds_are_left_alone() {
        for other in ["README.md", "usage.toml", "mod.rs", "Makefile", ".gitkeep"] {
            assert_eq!(read(other), Named::Other, "{other}");
        }
    }
}
