//! Which lock a statement takes on which relation, by its first words, after Postgres's chapter on explicit locking.
//! It serves the plan, for people; nothing is decided by it. What is not known is said to be unknown.

use serde::Serialize;

use super::concurrent::quoted_parts;
use super::statement::Statement;

/// Table-level lock modes, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LockLevel {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockLevel {
    /// As Postgres spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            LockLevel::AccessShare => "ACCESS SHARE",
            LockLevel::RowShare => "ROW SHARE",
            LockLevel::RowExclusive => "ROW EXCLUSIVE",
            LockLevel::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockLevel::Share => "SHARE",
            LockLevel::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockLevel::Exclusive => "EXCLUSIVE",
            LockLevel::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }
}

/// What a statement locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locks {
    /// One relation, by its quoted name, that was there before.
    Relation { lock: LockLevel, relation: String },
    /// No relation that was there before.
    Nothing,
    /// A function's body, or a statement that the table below does not know.
    Unknown,
}

/// Looks a statement up.
pub fn locks(statement: &Statement<'_>) -> Locks {
    use LockLevel::*;
    let concurrently = statement.mentions("CONCURRENTLY");
    let either = |yes, no| if concurrently { yes } else { no };
    let words: Vec<String> = (0..4).map(|index| statement.word(index)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ALTER", "TABLE", ..] => on(statement, 2, alter_table(statement)),
        ["ALTER", "INDEX", ..] if statement.mentions("RENAME") => on(statement, 2, ShareUpdateExclusive),
        ["ALTER", "INDEX" | "VIEW", ..] => on(statement, 2, AccessExclusive),
        ["ALTER", "MATERIALIZED" | "FOREIGN", ..] => on(statement, 3, AccessExclusive),
        ["ALTER", "SEQUENCE", ..] => on(statement, 2, ShareRowExclusive),
        ["DROP", "TABLE" | "VIEW" | "SEQUENCE", ..] => on(statement, 2, AccessExclusive),
        ["DROP", "MATERIALIZED" | "FOREIGN", ..] => on(statement, 3, AccessExclusive),
        ["DROP", "INDEX", ..] => on(statement, 2, either(ShareUpdateExclusive, AccessExclusive)),
        ["DROP", "TRIGGER" | "POLICY" | "RULE", ..] => after(statement, "ON", AccessExclusive),
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] => {
            after(statement, "ON", either(ShareUpdateExclusive, Share))
        }
        ["CREATE", "TRIGGER" | "CONSTRAINT", ..] | ["CREATE", "OR", "REPLACE", "TRIGGER"] => {
            after(statement, "ON", ShareRowExclusive)
        }
        ["CREATE", "POLICY", ..] => after(statement, "ON", AccessExclusive),
        ["CREATE", "RULE", ..] | ["CREATE", "OR", "REPLACE", "RULE"] => {
            after(statement, "TO", AccessExclusive)
        }
        ["CREATE", "STATISTICS", ..] => after(statement, "FROM", ShareUpdateExclusive),
        ["CREATE", "TABLE", ..] if statement.mentions("PARTITION") && statement.mentions("OF") => {
            after(statement, "OF", AccessExclusive)
        }
        ["CREATE", "TABLE", ..] if statement.mentions("REFERENCES") => {
            after(statement, "REFERENCES", ShareRowExclusive)
        }
        ["CREATE", ..] | ["COMMENT", "ON", "SCHEMA" | "FUNCTION" | "TYPE", ..] => Locks::Nothing,
        ["COMMENT", "ON", "TABLE" | "VIEW" | "INDEX", ..] => on(statement, 3, ShareUpdateExclusive),
        ["COMMENT", "ON", "COLUMN", ..] => Locks::Nothing,
        ["TRUNCATE", "TABLE", ..] | ["LOCK", "TABLE", ..] => on(statement, 2, AccessExclusive),
        ["TRUNCATE" | "LOCK", ..] => on(statement, 1, AccessExclusive),
        ["CLUSTER", ..] => on(statement, 1, AccessExclusive),
        ["VACUUM", "FULL", ..] => on(statement, 2, AccessExclusive),
        ["VACUUM" | "ANALYZE", ..] => on(statement, 1, ShareUpdateExclusive),
        ["REINDEX", ..] => {
            on(statement, if concurrently { 3 } else { 2 }, either(ShareUpdateExclusive, Share))
        }
        ["REFRESH", ..] => {
            on(statement, if concurrently { 4 } else { 3 }, either(Exclusive, AccessExclusive))
        }
        ["INSERT", "INTO", ..] | ["DELETE", "FROM", ..] | ["MERGE", "INTO", ..] => {
            on(statement, 2, RowExclusive)
        }
        ["UPDATE", ..] => on(statement, 1, RowExclusive),
        ["COPY", ..] => on(statement, 1, RowExclusive),
        ["SELECT" | "WITH" | "DO" | "CALL", ..] => Locks::Unknown,
        ["GRANT" | "REVOKE" | "SET" | "RESET" | "NOTIFY" | "ANALYSE", ..] => Locks::Nothing,
        _ => Locks::Unknown,
    }
}

/// Actions that need less than ACCESS EXCLUSIVE, when every action of the statement does.
fn alter_table(statement: &Statement<'_>) -> LockLevel {
    use LockLevel::*;
    let several = statement.mentions("ADD") || statement.mentions("DROP") || statement.mentions("TYPE");
    if statement.mentions("FOREIGN") && statement.mentions("ADD") && !statement.mentions("DROP") {
        ShareRowExclusive
    } else if several {
        AccessExclusive
    } else if statement.mentions("VALIDATE")
        || statement.mentions("ATTACH")
        || statement.mentions("STATISTICS")
    {
        ShareUpdateExclusive
    } else if statement.mentions("TRIGGER") {
        ShareRowExclusive
    } else if statement.mentions("DETACH") && statement.mentions("CONCURRENTLY") {
        ShareUpdateExclusive
    } else {
        AccessExclusive
    }
}

/// The relation named at token `at`, past the small words that may stand before a name.
fn on(statement: &Statement<'_>, mut at: usize, lock: LockLevel) -> Locks {
    while matches!(
        statement.word(at).as_str(),
        "IF" | "NOT" | "EXISTS" | "ONLY" | "CONCURRENTLY" | "TABLE" | "INDEX"
    ) {
        at += 1;
    }
    let (parts, _) = statement.name(at);
    if parts.is_empty() { Locks::Unknown } else { Locks::Relation { lock, relation: quoted_parts(&parts) } }
}

/// The relation named after the first `word`.
fn after(statement: &Statement<'_>, word: &str, lock: LockLevel) -> Locks {
    match (1..statement.len()).find(|index| statement.word(*index) == word) {
        Some(index) => on(statement, index + 1, lock),
        None => Locks::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::statements;
    use super::*;

    #[test]
    fn the_lock_of_common_statements_is_known() {
        for (sql, lock, relation) in [
            ("DROP TABLE IF EXISTS app.daily", LockLevel::AccessExclusive, "\"app\".\"daily\""),
            ("ALTER TABLE ONLY t ADD COLUMN a int", LockLevel::AccessExclusive, "\"t\""),
            ("ALTER TABLE t VALIDATE CONSTRAINT c", LockLevel::ShareUpdateExclusive, "\"t\""),
            ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u", LockLevel::ShareRowExclusive, "\"t\""),
            ("CREATE UNIQUE INDEX i ON t (a)", LockLevel::Share, "\"t\""),
            ("CREATE INDEX CONCURRENTLY i ON t (a)", LockLevel::ShareUpdateExclusive, "\"t\""),
            ("DROP INDEX CONCURRENTLY i", LockLevel::ShareUpdateExclusive, "\"i\""),
            ("REINDEX INDEX CONCURRENTLY i", LockLevel::ShareUpdateExclusive, "\"i\""),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", LockLevel::Exclusive, "\"m\""),
            (
                "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
                LockLevel::ShareRowExclusive,
                "\"t\"",
            ),
            ("UPDATE t SET a = 1", LockLevel::RowExclusive, "\"t\""),
        ] {
            let wanted = Locks::Relation { lock, relation: relation.to_owned() };
            assert_eq!(locks(&statements(sql)[0]), wanted, "{sql}");
        }
        assert_eq!(locks(&statements("CREATE TABLE t (a int)")[0]), Locks::Nothing);
        assert_eq!(locks(&statements("SELECT f()")[0]), Locks::Unknown);
    }
}
