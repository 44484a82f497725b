//! SQL text as a row of tokens, after Postgres's own lexer: enough to know what is code, what is text and what is
//! a comment. The tokens cover the text without gaps, so nothing of a file can hide between them.
//!
//! It assumes `standard_conforming_strings = on`, which every session of ours sets.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or an unquoted name; a trailing `$` belongs to it, as in Postgres.
    Word,
    /// `"name"`, with `""` for a quote.
    QuotedName,
    /// `'text'`, `E'text'` or `$tag$text$tag$`.
    Text,
    Number,
    LineComment,
    /// `/* */`, nested as deep as it likes.
    BlockComment,
    Space,
    Semicolon,
    OpenParen,
    CloseParen,
    Comma,
    Dot,
    /// Any other single character.
    Symbol,
    /// A string, quoted name or comment that the end of the text cut short.
    Unterminated,
}

/// One token: `[start, end)` in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    /// The token's text within the text it was cut from.
    pub fn text<'a>(&self, sql: &'a str) -> &'a str {
        &sql[self.start..self.end]
    }

    /// Whether the server would see it: neither space nor comment.
    pub fn is_significant(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::LineComment | Kind::BlockComment)
    }
}

/// Cuts `sql` into tokens that cover all of it, in order.
///
/// ```
/// use highwater::migrate::token::{Kind, tokens};
/// let kinds: Vec<Kind> = tokens("-- a;\nSELECT ';'").iter().map(|token| token.kind).collect();
/// assert_eq!(kinds, [Kind::LineComment, Kind::Space, Kind::Word, Kind::Space, Kind::Text]);
/// ```
pub fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while start < sql.len() {
        let (kind, length) = next(&sql[start..]);
        tokens.push(Token { kind, start, end: start + length });
        start += length;
    }
    tokens
}

/// Kind and length in bytes of the first token of `rest`, which is not empty.
fn next(rest: &str) -> (Kind, usize) {
    let bytes = rest.as_bytes();
    match bytes[0] {
        byte if is_space(byte) => (Kind::Space, run(bytes, is_space)),
        b'-' if bytes.get(1) == Some(&b'-') => {
            (Kind::LineComment, run(bytes, |byte| byte != b'\n' && byte != b'\r'))
        }
        b'/' if bytes.get(1) == Some(&b'*') => block_comment(bytes),
        b'\'' => quoted(bytes, 0, b'\'', false, Kind::Text),
        b'"' => quoted(bytes, 0, b'"', false, Kind::QuotedName),
        // E'..' is the one prefix that changes where a string ends: a backslash escapes the quote.
        b'e' | b'E' if bytes.get(1) == Some(&b'\'') => quoted(bytes, 1, b'\'', true, Kind::Text),
        b'$' => dollar_quoted(rest),
        byte if is_word_start(byte) => (Kind::Word, run(bytes, is_word_part)),
        byte if byte.is_ascii_digit() => {
            (Kind::Number, run(bytes, |byte| byte.is_ascii_digit() || byte == b'.'))
        }
        b';' => (Kind::Semicolon, 1),
        b'(' => (Kind::OpenParen, 1),
        b')' => (Kind::CloseParen, 1),
        b',' => (Kind::Comma, 1),
        b'.' => (Kind::Dot, 1),
        _ => (Kind::Symbol, 1),
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Any byte of a multi-byte character counts as a letter, as in Postgres.
fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len())
}

fn block_comment(bytes: &[u8]) -> (Kind, usize) {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return (Kind::BlockComment, at);
                }
            }
            _ => at += 1,
        }
    }
    (Kind::Unterminated, bytes.len())
}

/// A string or name whose opening quote stands at `open`. Strings that are continued on another line are one token,
/// because the escapes of an `E'..'` stay in force there.
fn quoted(bytes: &[u8], open: usize, quote: u8, escapes: bool, kind: Kind) -> (Kind, usize) {
    let mut at = open + 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            at += 1;
            let space = run(&bytes[at..], is_space);
            let continued = kind == Kind::Text
                && bytes.get(at + space) == Some(&quote)
                && bytes[at..at + space].iter().any(|byte| matches!(byte, b'\n' | b'\r'));
            if !continued {
                return (kind, at);
            }
            at += space + 1;
        }
    }
    (Kind::Unterminated, bytes.len())
}

/// `$tag$..$tag$`; a `$` that opens none (a parameter) is a symbol.
fn dollar_quoted(rest: &str) -> (Kind, usize) {
    let bytes = rest.as_bytes();
    let tag = run(&bytes[1..], |byte| is_word_part(byte) && byte != b'$');
    if bytes.get(1 + tag) != Some(&b'$') || bytes[1].is_ascii_digit() {
        return (Kind::Symbol, 1);
    }
    let opening = tag + 2;
    match rest[opening..].find(&rest[..opening]) {
        Some(length) => (Kind::Text, opening + length + opening),
        None => (Kind::Unterminated, rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn significant(sql: &str) -> Vec<&str> {
        tokens(sql).iter().filter(|token| token.is_significant()).map(|token| token.text(sql)).collect()
    }

    #[test]
    fn quotes_of_every_kind_hide_what_is_in_them() {
        assert_eq!(significant("'a;''b' x"), ["'a;''b'", "x"]);
        assert_eq!(significant(r"E'a\';b' x"), [r"E'a\';b'", "x"]);
        assert_eq!(significant(r"'a\' x"), [r"'a\'", "x"], "a backslash is plain without E");
        assert_eq!(significant("\"a;\"\"b\" x"), ["\"a;\"\"b\"", "x"]);
        assert_eq!(significant("$$a;$b$;$$ x"), ["$$a;$b$;$$", "x"]);
        assert_eq!(significant("$b$a;$$;$b$ x"), ["$b$a;$$;$b$", "x"]);
        assert_eq!(
            significant("E'a'\n'\\';' x"),
            ["E'a'\n'\\';'", "x"],
            "a continued string keeps its escapes"
        );
    }

    #[test]
    fn a_dollar_in_a_name_or_a_parameter_opens_nothing() {
        assert_eq!(significant("a$$b; $1;"), ["a$$b", ";", "$", "1", ";"]);
    }

    #[test]
    fn comments_nest_and_end_where_postgres_ends_them() {
        assert_eq!(significant("/* a /* b */ ; */ x -- y ;\nz"), ["x", "z"]);
        assert_eq!(significant("x --y\rz"), ["x", "z"]);
        assert_eq!(tokens("/* a /* b */").last().map(|token| token.kind), Some(Kind::Unterminated));
    }

    fn piece() -> impl Strategy<Value = (String, bool)> {
        let inside = "[a-z ;\\-/*\n]{0,8}";
        prop_oneof![
            inside.prop_map(|text| (format!("'{text}''{text}'"), true)),
            inside.prop_map(|text| (format!("E'{text}\\'{text}'"), true)),
            inside.prop_map(|text| (format!("\"{text}x\""), true)),
            inside.prop_map(|text| (format!("$t$ {text} $$ $t$"), true)),
            "[a-z ;'\"$]{0,8}".prop_map(|text| (format!("/*{text}/*{text}*/{text}*/"), false)),
            "[a-z ;'\"$*/]{0,8}".prop_map(|text| (format!("--{text}\n"), false)),
            "[a-dA-D_][a-z0-9$_]{1,6}".prop_map(|text| (text, true)),
            Just((";".to_owned(), true)),
            "[0-9]{1,3}".prop_map(|text| (text, true)),
        ]
    }

    proptest! {
        #[test]
        fn tokens_cover_any_text_without_gaps(sql in "[a-zE0-9 '\"$;/*\\\\\n-]{0,60}|.{0,40}") {
            let whole: String = tokens(&sql).iter().map(|token| token.text(&sql)).collect();
            prop_assert_eq!(whole, sql);
        }

        #[test]
        fn what_was_put_together_comes_apart(pieces in prop::collection::vec(piece(), 0..12)) {
            let sql: String = pieces.iter().map(|(text, _)| format!("{text} ")).collect();
            let wanted: Vec<&str> =
                pieces.iter().filter(|(_, significant)| *significant).map(|(text, _)| text.as_str()).collect();
            prop_assert_eq!(significant(&sql), wanted);
        }
    }
}
