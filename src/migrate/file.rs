//! One migration: its text, what its head asks for, and what is wrong with it.

use std::path::{Path, PathBuf};

use refinery::Migration;
use sha2::{Digest, Sha256};

use super::concurrent::IndexBuild;
use super::directive::{self, Directives};
use super::problem::Problem;
use super::scope::Scope;
use super::statement::{Place, Statement, normalised, statements};
use super::token::{Kind, tokens};

/// A migration that can be run: no fault was found in its file.
#[derive(Debug, Clone)]
pub struct MigrationFile {
    pub scope: Scope,
    pub version: i64,
    pub name: String,
    pub path: PathBuf,
    pub text: String,
    pub directives: Directives,
    /// The files that `add-rollup` names.
    pub definitions: Vec<Definition>,
    migration: Migration,
}

/// A rollup's definition that a migration installs.
#[derive(Debug, Clone)]
pub struct Definition {
    pub path: PathBuf,
    pub text: String,
}

impl Definition {
    /// SHA-256 of the text, whatever its line ends, in hexadecimal.
    pub fn sha256(&self) -> String {
        sha256(&self.text.replace("\r\n", "\n"))
    }
}

impl MigrationFile {
    /// Checks the text of a migration whose name was already read. `load` fetches a definition by the path that
    /// `add-rollup` gives, or says why it cannot.
    ///
    /// # Errors
    ///
    /// Every fault of the file.
    pub fn new(
        scope: Scope,
        version: i64,
        name: String,
        path: &Path,
        text: String,
        load: &dyn Fn(&str) -> Result<Definition, String>,
    ) -> Result<MigrationFile, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut fault = |offset: usize, fault: String| {
            problems.push(Problem::at(path, Place::of(&text, offset), fault));
        };
        let (directives, malformed) = directive::read(&text);
        malformed.into_iter().for_each(|malformed| fault(malformed.offset, malformed.fault));
        for (offset, what) in unreadable(&text) {
            fault(offset, what);
        }
        let split = statements(&text);
        for statement in &split {
            if let Some(what) = misplaced(statement, directives.no_transaction) {
                fault(statement.start(), what);
            }
        }
        if directives.no_transaction {
            if let [_, second, ..] = split.as_slice() {
                fault(
                    second.start(),
                    "no-transaction allows one statement: a failure between two could not be undone"
                        .to_owned(),
                );
            }
            if split.is_empty() {
                fault(0, "no-transaction needs a statement".to_owned());
            }
            let guarded = !directives.require.is_empty() || !directives.add_rollup.is_empty();
            if guarded {
                fault(0, "require-rollup and add-rollup need the migration's transaction, which no-transaction denies them".to_owned());
            }
            if directives.lock_wait.is_some() {
                fault(0, "lock-timeout would leave a half-built index behind; it cannot be joined with no-transaction".to_owned());
            }
        }
        let mut definitions = Vec::new();
        for wanted in &directives.add_rollup {
            match load(wanted) {
                Ok(definition) => definitions.push(definition),
                Err(reason) => fault(0, format!("add-rollup {wanted}: {reason}")),
            }
        }
        let migration = match Migration::unapplied(&format!("V{version}__{name}"), &text) {
            Ok(migration) => migration,
            Err(error) => {
                problems.push(Problem::of_file(path, error.to_string()));
                return Err(problems);
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(MigrationFile {
            scope,
            version,
            name,
            path: path.to_owned(),
            text,
            directives,
            definitions,
            migration,
        })
    }

    /// The same migration as refinery knows it.
    pub fn migration(&self) -> &Migration {
        &self.migration
    }

    /// refinery's checksum, over name, version and text.
    pub fn checksum(&self) -> u64 {
        self.migration.checksum()
    }

    /// refinery's checksum if the file had other line ends: (all LF, all CRLF).
    pub fn checksums_by_line_end(&self) -> [Option<u64>; 2] {
        let unix = self.text.replace("\r\n", "\n");
        let dos = unix.replace('\n', "\r\n");
        let stem = format!("V{}__{}", self.version, self.name);
        [unix, dos].map(|text| Migration::unapplied(&stem, &text).ok().map(|migration| migration.checksum()))
    }

    /// The statements of the text.
    pub fn statements(&self) -> Vec<Statement<'_>> {
        statements(&self.text)
    }

    /// SHA-256 of the text, byte for byte, in hexadecimal.
    pub fn sha256(&self) -> String {
        sha256(&self.text)
    }

    /// SHA-256 of the text without comments, line ends and spacing, in hexadecimal.
    pub fn normalised_sha256(&self) -> String {
        sha256(&normalised(&self.text))
    }
}

/// `V3__drop_daily`
impl std::fmt::Display for MigrationFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "V{}__{}", self.version, self.name)
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the server could not even read.
fn unreadable(text: &str) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    if text.starts_with('\u{feff}') {
        faults.push((0, "the file begins with a byte order mark; save it without one".to_owned()));
    }
    if let Some(offset) = text.find('\0') {
        faults.push((offset, "the file holds a NUL character".to_owned()));
    }
    let cut = tokens(text).into_iter().find(|token| token.kind == Kind::Unterminated);
    if let Some(token) = cut {
        faults.push((token.start, "a string, quoted name or comment that begins here never ends".to_owned()));
    }
    faults
}

/// Why a statement cannot stand in a migration, or not in one of this kind.
fn misplaced(statement: &Statement<'_>, no_transaction: bool) -> Option<String> {
    if statement.token(0).is_some_and(|(kind, text)| kind == Kind::Symbol && text == "\\") {
        return Some("commands of psql are not SQL".to_owned());
    }
    let first = statement.word(0);
    let ends_transaction = match first.as_str() {
        "BEGIN" | "COMMIT" | "END" | "ABORT" => true,
        "START" | "PREPARE" => statement.word(1) == "TRANSACTION",
        // To a savepoint of its own a migration may go back.
        "ROLLBACK" => statement.word(1) != "TO" && statement.word(2) != "TO",
        _ => false,
    };
    if ends_transaction {
        return Some(format!(
            "{first} would part the migration from its history row; the run opens and ends the transaction"
        ));
    }
    if first == "COPY" && statement.mentions("STDIN") {
        return Some("COPY ... FROM STDIN has no data to read here; use INSERT".to_owned());
    }
    if IndexBuild::of(statement).is_some_and(|build| build.name.is_empty()) {
        return Some("name the index: a half-built one must be recognised by the next run".to_owned());
    }
    let alone = runs_alone(statement);
    (alone && !no_transaction).then(|| {
        format!("\"{}\" cannot run inside a transaction; add \"-- highwater: no-transaction\" at the head of the file", statement.headline(40))
    })
}

/// Whether the server refuses the statement inside a transaction block.
fn runs_alone(statement: &Statement<'_>) -> bool {
    let concurrently = statement.mentions("CONCURRENTLY");
    match statement.word(0).as_str() {
        "VACUUM" => true,
        "CREATE" if statement.word(1) == "DATABASE" || statement.word(1) == "TABLESPACE" => true,
        "DROP" if statement.word(1) == "DATABASE" || statement.word(1) == "TABLESPACE" => true,
        "ALTER" if statement.word(1) == "SYSTEM" => true,
        "CREATE" => concurrently && IndexBuild::of(statement).is_some(),
        "DROP" => concurrently && statement.word(1) == "INDEX",
        "REINDEX" => concurrently,
        // DETACH PARTITION ... CONCURRENTLY
        "ALTER" => concurrently && statement.mentions("DETACH"),
        "DISCARD" => statement.word(1) == "ALL",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let load = |wanted: &str| Err(format!("no file {wanted}"));
        let path = Path::new("V1__x.sql");
        match MigrationFile::new(Scope::App, 1, "x".to_owned(), path, text.to_owned(), &load) {
            Ok(_) => vec![],
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_file_may_not_end_its_transaction() {
        for word in
            ["BEGIN", "COMMIT", "ROLLBACK", "END", "ABORT", "START TRANSACTION", "COMMIT PREPARED 'x'"]
        {
            let found = faults(&format!("CREATE TABLE a ();\n  {word};\n"));
            assert_eq!(found.len(), 1, "{word}: {found:?}");
            assert!(found[0].starts_with("V1__x.sql:2:3: "), "{found:?}");
        }
    }

    #[test]
    fn the_word_commit_is_free_where_it_ends_nothing() {
        for text in [
            "SELECT 'x; COMMIT;';",
            "-- COMMIT;\nSELECT 1;",
            "/* ; COMMIT; /* ; ROLLBACK; */ */ SELECT 1;",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN NULL; END; $f$;",
            "DO $$ BEGIN RAISE NOTICE 'COMMIT;'; END $$;",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;",
            "CREATE TABLE t (x int) ON COMMIT DROP;",
            "SAVEPOINT a; ROLLBACK TO a; ROLLBACK TO SAVEPOINT a; RELEASE a;",
        ] {
            assert_eq!(faults(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_cannot_run_in_a_transaction_must_say_so() {
        for text in [
            "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
            "DROP INDEX CONCURRENTLY i",
            "REINDEX (VERBOSE) INDEX CONCURRENTLY i",
            "VACUUM t",
            "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
        ] {
            assert_eq!(faults(text).len(), 1, "{text}: {:?}", faults(text));
            assert_eq!(
                faults(&format!("-- highwater: no-transaction\n{text};")),
                Vec::<String>::new(),
                "{text}"
            );
        }
    }

    #[test]
    fn all_faults_of_a_file_are_listed() {
        let found = faults(
            "-- highwater: no-transaction\n-- highwater: lock-timeout 1s\n-- highwater: add-rollup gone.toml\n\
             CREATE INDEX CONCURRENTLY ON t (a); COMMIT; SELECT 'x",
        );
        assert_eq!(found.len(), 7, "{found:#?}");
    }
}
