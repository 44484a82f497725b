//! The two spellings of a connection string: `postgresql://…` and `key=value …`, as libpq reads them.

use percent_encoding::percent_decode_str;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// Names and values, in the order in which they stand. The error never repeats the text, which may hold a password.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => url(rest),
        None if text.contains("://") => {
            Err(format!("its scheme is neither postgresql nor postgres; {EXPECTED}"))
        }
        None => words(text),
    }
}

const EXPECTED: &str =
    "expected postgresql://user@host:5432/database or postgresql://user@/database?host=/run/postgresql";

/// `[user[:password]@][host[:port],…][/dbname][?name=value&…]`
fn url(rest: &str) -> Result<Vec<(String, String)>, String> {
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, database) = rest.split_once('/').map_or((rest, None), |(a, d)| (a, Some(d)));
    // The last one: a password may hold an @ that nobody encoded.
    let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    let mut pairs = Vec::new();
    let mut push = |name: &str, text: &str| -> Result<(), String> {
        if !text.is_empty() {
            pairs.push((name.to_owned(), decoded(name, text)?));
        }
        Ok(())
    };
    if let Some(user) = user {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        push("user", user)?;
        push("password", password)?;
    }
    if !hosts.is_empty() {
        let (hosts, ports): (Vec<&str>, Vec<&str>) =
            hosts.split(',').map(host_and_port).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        push("host", &hosts.join(","))?;
        if ports.iter().any(|port| !port.is_empty()) {
            push("port", &ports.join(","))?;
        }
    }
    push("dbname", database.unwrap_or_default())?;
    for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or("a parameter behind the ? has no value (name=value)")?;
        match (decoded("parameter", name)?.as_str(), value) {
            // As libpq has it, for the sake of other drivers' URLs.
            ("ssl", "true") => pairs.push(("sslmode".to_owned(), "require".to_owned())),
            (name, value) => pairs.push((name.to_owned(), decoded(name, value)?)),
        }
    }
    Ok(pairs)
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`; the port is empty where none is given.
fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("an IPv6 address lacks its closing bracket")?,
        None => match text.split_once(':') {
            Some((host, _)) => (host, &text[host.len()..]),
            None => (text, ""),
        },
    };
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if rest.is_empty() => Ok((host, "")),
        None => Err("something follows the closing bracket of an IPv6 address".to_owned()),
    }
}

fn decoded(name: &str, text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    for (place, byte) in bytes.iter().enumerate() {
        let digits = bytes.get(place + 1..place + 3);
        if *byte == b'%' && !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(format!(
                "its {name} has a % that two hexadecimal digits do not follow; write %25 for a percent sign"
            ));
        }
    }
    match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => Err(format!("its {name} is not text")),
    }
}

/// `name = value` words; quotes hold spaces, a backslash takes the next character as it is.
fn words(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("it is neither a URL nor a list of name=value; {EXPECTED}"))?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("a name before a = is missing or has spaces; {EXPECTED}"));
        }
        let (value, after) = word(name, after.trim_start())?;
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// One value, and what follows it.
fn word<'a>(name: &str, text: &'a str) -> Result<(String, &'a str), String> {
    let quoted = text.starts_with('\'');
    let body = if quoted { &text[1..] } else { text };
    let mut value = String::new();
    let mut letters = body.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, next)| next)),
            '\'' if quoted => return Ok((value, &body[place + 1..])),
            letter if letter.is_whitespace() && !quoted => return Ok((value, &body[place..])),
            letter => value.push(letter),
        }
    }
    if quoted { Err(format!("the value of {name} lacks its closing quote")) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        pairs(text).unwrap()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_url_gives_its_parts() {
        assert_eq!(
            read(
                "postgresql://ann:s%40cret@db1:6000,[::1],db3:6001/app?sslmode=verify-full&options=-c%20geqo%3Doff"
            ),
            owned(&[
                ("user", "ann"),
                ("password", "s@cret"),
                ("host", "db1,::1,db3"),
                ("port", "6000,,6001"),
                ("dbname", "app"),
                ("sslmode", "verify-full"),
                ("options", "-c geqo=off"),
            ])
        );
        assert_eq!(read("postgres://"), []);
        assert_eq!(read("postgres:///app?ssl=true"), owned(&[("dbname", "app"), ("sslmode", "require")]));
    }

    #[test]
    fn words_may_be_quoted_and_escaped() {
        assert_eq!(
            read(r"host = db  password='it\'s \\ mine' dbname=a\ b user=''"),
            owned(&[("host", "db"), ("password", r"it's \ mine"), ("dbname", "a b"), ("user", "")])
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_does_not_repeat_the_text() {
        for text in [
            "mysql://ann:s3cret@db/app",
            "postgresql://ann:s3cret%zz@db/app",
            "postgresql://ann:s3cret@[::1/app",
            "postgresql://ann:s3cret@db/app?sslmode",
            "host=db password='s3cret",
            "s3cret",
            "host=db s3cret",
        ] {
            let error = pairs(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
