//! SQL text as statements: where each begins, what its words are, and the text without what does not count.

use super::token::{Kind, Token, tokens};

/// One statement of a file, without its semicolon and without what stands before its first word.
#[derive(Debug, Clone)]
pub struct Statement<'a> {
    /// The text it was cut from.
    sql: &'a str,
    /// What the server would see of it.
    tokens: Vec<Token>,
}

/// A position in a file, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The place of byte `offset` of `text`.
    ///
    /// ```
    /// use highwater::migrate::statement::Place;
    /// assert_eq!(Place::of("é;\nab", 5), Place { line: 2, column: 2 });
    /// ```
    pub fn of(text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl Statement<'_> {
    /// Byte at which the statement begins in its file.
    pub fn start(&self) -> usize {
        self.tokens.first().map_or(0, |token| token.start)
    }

    /// The statement as it is sent to the server.
    pub fn text(&self) -> &str {
        let end = self.tokens.last().map_or(0, |token| token.end);
        &self.sql[self.start()..end]
    }

    /// Where in the file the statement's `position`th character stands (from 1, as the server counts), or where the
    /// statement begins.
    pub fn place(&self, position: Option<u32>) -> Place {
        let skip = position.map_or(0, |position| position.saturating_sub(1) as usize);
        let offset = self.text().char_indices().nth(skip).map_or(0, |(offset, _)| offset);
        Place::of(self.sql, self.start() + offset)
    }

    /// The `index`th token in upper case, from 0; empty beyond the end. Quoted names and texts are never a keyword.
    pub fn word(&self, index: usize) -> String {
        match self.tokens.get(index) {
            Some(token) if token.kind == Kind::Word => token.text(self.sql).to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    /// Whether the statement begins with these words, given in upper case.
    pub fn begins(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(index, word)| self.word(index) == *word)
    }

    /// Whether a word, given in upper case, stands anywhere in the statement.
    pub fn mentions(&self, word: &str) -> bool {
        (0..self.tokens.len()).any(|index| self.word(index) == word)
    }

    /// Token by index, with its text.
    pub fn token(&self, index: usize) -> Option<(Kind, &str)> {
        self.tokens.get(index).map(|token| (token.kind, token.text(self.sql)))
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Never true for what [`statements`] returns.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The text from the `index`th token to the end; empty beyond it.
    pub fn text_from(&self, index: usize) -> &str {
        let end = self.tokens.last().map_or(0, |token| token.end);
        self.tokens.get(index).map_or("", |token| &self.sql[token.start..end])
    }

    /// A name, perhaps qualified, that begins at token `index`: its parts as the catalog spells them, and the index
    /// after it. No parts where no name stands.
    pub fn name(&self, index: usize) -> (Vec<String>, usize) {
        let mut parts = Vec::new();
        let mut at = index;
        while let Some((kind, text)) = self.token(at) {
            match kind {
                Kind::Word => parts.push(text.to_lowercase()),
                Kind::QuotedName => parts.push(text[1..text.len() - 1].replace("\"\"", "\"")),
                _ => break,
            }
            at += 1;
            if self.token(at).is_none_or(|(kind, _)| kind != Kind::Dot) {
                break;
            }
            at += 1;
        }
        (parts, at)
    }

    /// The statement in one line of at most `limit` characters, for people.
    pub fn headline(&self, limit: usize) -> String {
        let words: Vec<&str> = self.text().split_whitespace().collect();
        let line = words.join(" ");
        if line.chars().count() <= limit {
            return line;
        }
        let cut: String = line.chars().take(limit.saturating_sub(1)).collect();
        format!("{cut}…")
    }
}

/// Cuts a file into statements at its semicolons, but not at those inside parentheses (a rule's actions) or inside
/// the `BEGIN ATOMIC .. END` of an SQL function. The rules are those of psql.
pub fn statements(sql: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut current: Vec<Token> = Vec::new();
    let mut parens = 0_i32;
    let mut begins = 0_u32;
    for token in tokens(sql) {
        match token.kind {
            Kind::Semicolon if parens <= 0 && begins == 0 => {
                parens = 0;
                if !current.is_empty() {
                    statements.push(Statement { sql, tokens: std::mem::take(&mut current) });
                }
                continue;
            }
            Kind::OpenParen => parens += 1,
            Kind::CloseParen => parens -= 1,
            Kind::Word if parens == 0 && is_routine(sql, &current) => {
                match token.text(sql).to_ascii_uppercase().as_str() {
                    "BEGIN" => begins += 1,
                    "CASE" if begins > 0 => begins += 1,
                    "END" => begins = begins.saturating_sub(1),
                    _ => {}
                }
            }
            _ => {}
        }
        if token.is_significant() {
            current.push(token);
        }
    }
    if !current.is_empty() {
        statements.push(Statement { sql, tokens: current });
    }
    statements
}

fn is_routine(sql: &str, tokens: &[Token]) -> bool {
    let words: Vec<String> =
        tokens.iter().take(4).map(|token| token.text(sql).to_ascii_uppercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["CREATE", "FUNCTION" | "PROCEDURE", ..] | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE"]
    )
}

/// The text without comments, line ends made `\n` and space made single: equal for two files that mean the same.
pub fn normalised(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    for token in tokens(sql).into_iter().filter(Token::is_significant) {
        text.push_str(&token.text(sql).replace("\r\n", "\n"));
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        statements(sql).iter().map(|statement| statement.text().to_owned()).collect()
    }

    #[test]
    fn a_semicolon_inside_a_body_ends_nothing() {
        assert_eq!(texts("-- x\nSELECT 1; ;\n/* y */ SELECT 2"), ["SELECT 1", "SELECT 2"]);
        let rule = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)";
        assert_eq!(texts(&format!("{rule}; SELECT 3;")), [rule, "SELECT 3"]);
        let function =
            "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END";
        assert_eq!(texts(&format!("{function}; SELECT 3;")), [function, "SELECT 3"]);
    }

    #[test]
    fn a_server_position_becomes_a_line_and_a_column() {
        let sql = "SELECT 1;\n  SELECT 'é', nope\n";
        let split = statements(sql);
        assert_eq!(split[1].place(None), Place { line: 2, column: 3 });
        assert_eq!(split[1].place(Some(13)), Place { line: 2, column: 15 });
        assert_eq!(&sql.lines().nth(1).unwrap().chars().skip(14).collect::<String>(), "nope");
    }

    #[test]
    fn names_are_read_as_the_catalog_spells_them() {
        let sql = "DROP TABLE Public.\"Odd\"\"Name\" CASCADE";
        assert_eq!(statements(sql)[0].name(2), (vec!["public".to_owned(), "Odd\"Name".to_owned()], 5));
    }

    #[test]
    fn only_what_counts_is_normalised_in() {
        assert_eq!(
            normalised("SELECT 1; -- a\r\nSELECT 'b\r\nc'"),
            normalised("SELECT 1;\n/* z */ SELECT\n'b\nc'")
        );
        assert_ne!(normalised("SELECT 'a  b'"), normalised("SELECT 'a b'"));
    }

    proptest! {
        #[test]
        fn statements_joined_by_semicolons_come_apart(
            wanted in prop::collection::vec("SELECT [a-z]{1,5}( '[a-z; ]{0,5}'| \\$\\$[a-z;']{0,5}\\$\\$| \"[a-z;]{1,5}\")?", 0..8),
        ) {
            prop_assert_eq!(texts(&wanted.join("; -- c;\n")), wanted);
        }
    }
}
