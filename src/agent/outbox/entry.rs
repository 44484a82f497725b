//! One file of the outbox: `<20 digits>-<26 letters>.json`, with a header, a body, and a digest over both.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ground::wire::event::Event;
use crate::ground::wire::id::{EventId, JobId};

/// Digits of the sequence number, so that names sort as numbers do.
const SEQ_DIGITS: usize = 20;

/// The letters of a ULID: Crockford's base 32.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters of 128 bits, five to a letter.
const ULID_LETTERS: usize = 26;

/// The name of an entry: its place in the order, and its id as a ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub seq: i64,
    pub id: EventId,
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.id.0.as_u128();
        let ulid: String = (0..ULID_LETTERS)
            .rev()
            .map(|place| {
                let five = (bits >> (5 * place)) & 31;
                char::from(LETTERS[usize::try_from(five).expect("five bits fit")])
            })
            .collect();
        write!(formatter, "{:0width$}-{ulid}.json", self.seq, width = SEQ_DIGITS)
    }
}

/// Not the name of an entry.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Name, NotAName> {
        let (seq, ulid) = text.strip_suffix(".json").and_then(|stem| stem.split_once('-')).ok_or(NotAName)?;
        if seq.len() != SEQ_DIGITS
            || !seq.bytes().all(|byte| byte.is_ascii_digit())
            || ulid.len() != ULID_LETTERS
        {
            return Err(NotAName);
        }
        let mut bits: u128 = 0;
        for letter in ulid.bytes() {
            let five = LETTERS.iter().position(|one| *one == letter).ok_or(NotAName)?;
            bits = bits.checked_mul(32).ok_or(NotAName)? | five as u128;
        }
        Ok(Name { seq: seq.parse().map_err(|_| NotAName)?, id: EventId(uuid::Uuid::from_u128(bits)) })
    }
}

/// What an entry is sent as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub seq: i64,
    pub epoch: i64,
    pub id: EventId,
    /// An event's kind; none for any other request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Entries of one lane are sent in order; without one an entry waits for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    pub queued_at: DateTime<Utc>,
    /// None for an event, which travels in a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// A request of the API that may wait, with its precondition; its body is the entry's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `POST` or `PUT`.
    pub method: String,
    /// From the root of the server: `/v1/...`.
    pub path: String,
    pub content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_none_match: Option<String>,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub header: Header,
    pub body: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    header: Header,
    sha256: String,
    body: String,
}

impl Entry {
    pub fn name(&self) -> Name {
        Name { seq: self.header.seq, id: self.header.id }
    }

    /// The bytes of the file.
    pub fn write(&self) -> Vec<u8> {
        let sealed = Sealed {
            sha256: seal(&self.header, &self.body),
            header: self.header.clone(),
            body: self.body.clone(),
        };
        let mut bytes = serde_json::to_vec(&sealed).expect("an entry has text keys only");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A sentence: half written, changed, or under another entry's name.
    pub fn read(name: Name, bytes: &[u8]) -> Result<Entry, String> {
        let sealed: Sealed =
            serde_json::from_slice(bytes).map_err(|error| format!("is no entry: {error}"))?;
        if sealed.sha256 != seal(&sealed.header, &sealed.body) {
            return Err("does not match its digest".to_owned());
        }
        let entry = Entry { header: sealed.header, body: sealed.body };
        if entry.name() != name {
            return Err(format!("is entry {}", entry.name()));
        }
        if entry.header.request.is_none() {
            entry.event().map_err(|error| format!("holds no event: {error}"))?;
        }
        Ok(entry)
    }

    /// The event in the body.
    ///
    /// # Errors
    ///
    /// When the body is none.
    pub fn event(&self) -> Result<Value, String> {
        let value: Value = serde_json::from_str(&self.body).map_err(|error| error.to_string())?;
        if Event::id_of(&value) == Some(self.header.id) {
            Ok(value)
        } else {
            Err("its id is another".to_owned())
        }
    }
}

/// SHA-256 over header and body; the header as JSON with its keys in this build's order, a line, the body.
fn seal(header: &Header, body: &str) -> String {
    let header = serde_json::to_value(header).expect("a header has text keys only").to_string();
    let mut hasher = Sha256::new();
    hasher.update(header.as_bytes());
    hasher.update(b"\n");
    hasher.update(body.as_bytes());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_reads_as_it_was_written_and_sorts_by_its_number(seq in 0_i64.., other in 0_i64.., bits in any::<u128>()) {
            let name = Name { seq, id: EventId(uuid::Uuid::from_u128(bits)) };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
            let other = Name { seq: other, id: EventId::fresh() };
            if name.seq != other.seq {
                prop_assert_eq!(name.to_string() < other.to_string(), name.seq < other.seq);
            }
        }

        #[test]
        fn a_changed_byte_is_noticed(place in 0_usize..400, bit in 0_u8..8) {
            let entry = sample();
            let mut bytes = entry.write();
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            if let Ok(read) = Entry::read(entry.name(), &bytes) {
                prop_assert_eq!(read, entry);
            }
        }

        #[test]
        fn a_half_written_file_is_noticed(cut in 0_usize..400) {
            let entry = sample();
            let bytes = entry.write();
            let cut = cut % (bytes.len() - 1);
            prop_assert!(Entry::read(entry.name(), &bytes[..cut]).is_err());
        }
    }

    fn sample() -> Entry {
        let id = EventId::fresh();
        Entry {
            header: Header {
                seq: 7,
                epoch: 1,
                id,
                kind: Some("job.started".to_owned()),
                job: Some(JobId::fresh()),
                lane: None,
                queued_at: DateTime::from_timestamp(1_764_000_000, 0).unwrap(),
                request: None,
            },
            body: serde_json::json!({"event_id": id, "kind": "job.started"}).to_string(),
        }
    }

    #[test]
    fn foreign_names_are_no_names() {
        for name in
            ["", "a.json", "00000000000000000001.json", "1-01ARZ3NDEKTSV4RRFFQ69G5FAV.json", "../etc/passwd"]
        {
            assert_eq!(name.parse::<Name>(), Err(NotAName), "{name}");
        }
        assert!("00000000000000000001-01ARZ3NDEKTSV4RRFFQ69G5FAV.json".parse::<Name>().is_ok());
        // 26 letters hold 130 bits; a ULID has 128.
        assert_eq!("00000000000000000001-Z1ARZ3NDEKTSV4RRFFQ69G5FAV.json".parse::<Name>(), Err(NotAName));
    }

    #[test]
    fn an_entry_under_another_name_is_refused() {
        let entry = sample();
        let other = Name { seq: 8, id: entry.header.id };
        assert!(Entry::read(other, &entry.write()).is_err());
        assert_eq!(Entry::read(entry.name(), &entry.write()), Ok(entry));
    }
}
