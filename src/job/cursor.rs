//! A place in a list that is read page by page, newest first: time and id of the last row that was shown.

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::JobError;

/// Where the next page begins: after this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}_{}", self.at.to_rfc3339_opts(SecondsFormat::Micros, true), self.id.simple())
    }
}

impl std::str::FromStr for Cursor {
    type Err = JobError;

    fn from_str(text: &str) -> Result<Cursor, JobError> {
        let read = || {
            let (at, id) = text.split_once('_')?;
            Some(Cursor { at: at.parse().ok()?, id: Uuid::try_parse(id).ok()? })
        };
        read().ok_or_else(|| {
            JobError::Invalid(format!("\"{text}\" is no cursor; use \"next_cursor\" of the page before"))
        })
    }
}

impl serde::Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// None: this is the last page.
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of at most `most` rows out of up to one more, which only tells that there is a next page.
    pub(super) fn cut(mut rows: Vec<T>, most: usize, place: impl Fn(&T) -> Cursor) -> Page<T> {
        let has_more = rows.len() > most;
        rows.truncate(most);
        let next_cursor = if has_more { rows.last().map(place) } else { None };
        Page { rows, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        let cursor = Cursor { at: "2026-11-22T03:04:05.678901Z".parse().unwrap(), id: Uuid::from_u128(7) };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        assert!("tomorrow".parse::<Cursor>().unwrap_err().to_string().contains("next_cursor"));
    }

    #[test]
    fn a_page_that_is_just_full_is_the_last_one() {
        let place = |number: &u128| Cursor { at: DateTime::UNIX_EPOCH, id: Uuid::from_u128(*number) };
        assert_eq!(Page::cut(vec![1, 2], 2, place).next_cursor, None);
        let cut = Page::cut(vec![1, 2, 3], 2, place);
        assert_eq!(
            (cut.rows, cut.next_cursor.map(|cursor| cursor.id)),
            (vec![1, 2], Some(Uuid::from_u128(2)))
        );
    }
}
