//! Reading an expression. croner replaces names wherever it finds them (`JAN1` would be November) and skips empty items
//! of a list, so both are looked at before it sees them.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

use super::Cron;

/// Why an expression was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error("cannot read the cron expression \"{text}\": {reason}")]
    Syntax { text: String, reason: String },
    /// All fields are well formed, but no date has them all.
    #[error("the cron expression \"{text}\" never fires: no date matches it; change the day or the month")]
    NeverFires { text: String },
    #[error("unknown time zone \"{zone}\"; use an IANA name, such as Europe/Berlin or UTC")]
    UnknownZone { zone: String },
}

/// Names that stand for a whole expression.
const NICKNAMES: [(&str, &str); 7] = [
    ("@YEARLY", "0 0 1 1 *"),
    ("@ANNUALLY", "0 0 1 1 *"),
    ("@MONTHLY", "0 0 1 * *"),
    ("@WEEKLY", "0 0 * * 0"),
    ("@DAILY", "0 0 * * *"),
    ("@MIDNIGHT", "0 0 * * *"),
    ("@HOURLY", "0 * * * *"),
];

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Names of the six fields, second first.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of month", "month", "day of week"];

/// Reads `text`, in `zone` unless it names one itself.
pub(super) fn parse(text: &str, zone: &str) -> Result<Cron, CronError> {
    let text = text.trim();
    let syntax = |reason: String| CronError::Syntax { text: text.to_owned(), reason };
    let (own_zone, expression) = split_zone(text);
    let zone = own_zone.unwrap_or(zone);
    let zone: Tz = zone.parse().map_err(|_| CronError::UnknownZone { zone: zone.to_owned() })?;
    if !expression.is_ascii() {
        return Err(syntax("only ASCII is allowed".to_owned()));
    }
    let expression = unabbreviated(&expression.to_uppercase()).map_err(syntax)?;
    let mut fields: Vec<String> = expression.split_whitespace().map(str::to_owned).collect();
    match fields.len() {
        5 => fields.insert(0, "0".to_owned()),
        6 => {}
        count => {
            return Err(syntax(format!(
                "it has {count} fields; five are wanted (minute, hour, day of month, month, day of week), or six with \
                 the second first"
            )));
        }
    }
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
    for (place, (field, name)) in fields.iter_mut().zip(FIELDS).enumerate() {
        let faulty = |reason: String| syntax(format!("{name} \"{field}\": {reason}"));
        let numbers = numbered(field, name).map_err(faulty)?;
        // By itself, so that a complaint can name it.
        let mut alone = ["*"; FIELDS.len()];
        alone[place] = &numbers;
        parser.parse(&alone.join(" ")).map_err(|error| faulty(plain(&error)))?;
        *field = numbers;
    }
    // The hour as written, not as a set: 0-23 was chosen by someone who could have written *.
    let is_fixed = !fields[2].contains(['*', '/']);
    let fields = parser.parse(&fields.join(" ")).map_err(|error| syntax(plain(&error)))?;
    fields
        .find_next_occurrence(&origin(), true)
        .map_err(|_| CronError::NeverFires { text: text.to_owned() })?;
    Ok(Cron { text: text.to_owned(), zone, fields, is_fixed })
}

/// Any moment will do: what matches no date of the three thousand years after it matches none.
fn origin() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2000, 1, 1).expect("a date").and_time(NaiveTime::MIN)
}

/// The zone before an expression, if it names one, and the rest.
fn split_zone(text: &str) -> (Option<&str>, &str) {
    let rest = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ="));
    match rest {
        Some(rest) => {
            let (zone, expression) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            (Some(zone), expression.trim())
        }
        None => (None, text),
    }
}

/// Writes a nickname out.
fn unabbreviated(expression: &str) -> Result<String, String> {
    if !expression.starts_with('@') {
        return Ok(expression.to_owned());
    }
    match NICKNAMES.iter().find(|(name, _)| *name == expression) {
        Some((_, fields)) => Ok((*fields).to_owned()),
        None => {
            let known: Vec<String> = NICKNAMES.iter().map(|(name, _)| name.to_lowercase()).collect();
            Err(format!("the known names are {}", known.join(", ")))
        }
    }
}

/// Puts numbers for names, and refuses what croner would misread.
fn numbered(field: &str, name: &str) -> Result<String, String> {
    let names: &[&str] = match name {
        "month" => &MONTHS,
        "day of week" => &WEEKDAYS,
        _ => &[],
    };
    let first = usize::from(name == "month");
    let mut items = Vec::new();
    for item in field.split(',') {
        if item.is_empty() {
            return Err("an item of the list is empty".to_owned());
        }
        let written = spelled(item, name, names, first)?;
        check_item(&written)?;
        // A range that ends on Sunday goes up to 7, where a week that begins on Sunday has 0.
        items.push(if name == "day of week" { sunday_last(&written) } else { written });
    }
    Ok(items.join(","))
}

/// One item with numbers for names, which are counted from `first`.
fn spelled(item: &str, name: &str, names: &[&str], first: usize) -> Result<String, String> {
    let mut written = String::new();
    let mut rest = item;
    while let Some(one) = rest.chars().next() {
        let length = rest.find(|other: char| other.is_ascii_alphabetic() != one.is_ascii_alphabetic());
        let (run, tail) = rest.split_at(length.unwrap_or(rest.len()));
        rest = tail;
        if !one.is_ascii_alphabetic() {
            written.push_str(run);
            continue;
        }
        // FRIL is the last Friday.
        let (word, last) = match run.strip_suffix('L') {
            Some(word) if names.contains(&word) => (word, "L"),
            _ => (run, ""),
        };
        let number = names.iter().position(|known| *known == word);
        let is_alone = !written.ends_with(|before: char| before.is_ascii_digit())
            && !rest.starts_with(|after: char| after.is_ascii_digit());
        match number {
            Some(number) if is_alone => written.push_str(&format!("{}{last}", number + first)),
            None if ["L", "W", "LW"].contains(&run) && name.starts_with("day") => written.push_str(run),
            _ => return Err(format!("\"{run}\" is not understood here{}", known(names))),
        }
    }
    Ok(written)
}

fn known(names: &[&str]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("; the names are {}", names.join(", ").to_lowercase())
    }
}

/// Forms that other programs take and this one does not, each with what to write instead.
fn check_item(item: &str) -> Result<(), String> {
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    if let Some(step) = step
        && !range.contains('-')
        && range != "*"
    {
        return Err(format!(
            "a step needs a range; write {range}-MAX/{step} with the field's greatest value, or */{step}"
        ));
    }
    if let Some((low, high)) = range.split_once('-')
        && let (Ok(low), Ok(high)) = (
            low.trim_start_matches('+').parse::<u32>(),
            high.split('#').next().unwrap_or(high).parse::<u32>(),
        )
        && low > high
        && high != 0
    {
        return Err(format!("the range {low}-{high} runs backwards; write two ranges with a comma between"));
    }
    Ok(())
}

fn sunday_last(item: &str) -> String {
    let (range, rest) = match item.find(['/', '#']) {
        Some(at) => item.split_at(at),
        None => (item, ""),
    };
    match range.split_once('-') {
        Some((low, "0")) if low != "0" => format!("{low}-7{rest}"),
        _ => item.to_owned(),
    }
}

/// croner's words without its names for things.
fn plain(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError as Croner;
    match error {
        Croner::InvalidPattern(words) | Croner::IllegalCharacters(words) | Croner::ComponentError(words) => {
            words.trim_end_matches('.').replace("CronPattern", "it")
        }
        other => other.to_string(),
    }
}
