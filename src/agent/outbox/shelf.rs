//! What lies in an outbox, seen from beside: for people, also while an agent runs. An agent sees what came back or
//! went when it next looks.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::AgentError;
use super::durable::place_durably;
use super::entry::{Entry, Name};
use super::layout::{Layout, Place, sync_directory};

/// Ends the name of the file beside a refused entry that holds the server's words.
const ANSWER: &str = ".answer";

/// Why an entry was refused, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// None when no server was asked: the entry could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    pub reason: String,
    /// The server's version, as it was answered, cut at 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    pub at: DateTime<Utc>,
}

/// One file of the outbox.
#[derive(Debug)]
pub struct Item {
    pub place: Place,
    /// As it lies there; of an entry [`Name`]'s form.
    pub file: String,
    pub size_bytes: u64,
    /// What it holds, or why it cannot be read.
    pub entry: Result<Entry, String>,
    /// Only in conflict/ and dead/.
    pub answer: Option<Answer>,
}

impl Item {
    /// Whether it could be sent.
    pub fn is_readable(&self) -> bool {
        self.entry.is_ok()
    }
}

/// An outbox, without its lock.
#[derive(Debug, Clone)]
pub struct Shelf {
    layout: Layout,
}

impl Shelf {
    /// # Errors
    ///
    /// [`AgentError::NoDirectory`].
    pub fn open(root: &Path) -> Result<Shelf, AgentError> {
        Ok(Shelf { layout: Layout::existing(root)? })
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Names of entries in a place, in their order; the words beside them are left out.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn files(&self, place: Place) -> Result<Vec<String>, AgentError> {
        files(&self.layout, place)
    }

    /// Reads one file; none if it has gone meanwhile.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn item(&self, place: Place, file: &str) -> Result<Option<Item>, AgentError> {
        let path = self.layout.directory(place).join(file);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AgentError::file("read", &path, error)),
        };
        let entry = match file.parse::<Name>() {
            Ok(name) => Entry::read(name, &bytes),
            Err(_) => Err("is not named as entries are".to_owned()),
        };
        let answer = fs::read(answer_path(&path)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Some(Item { place, file: file.to_owned(), size_bytes: bytes.len() as u64, entry, answer }))
    }

    /// Finds an entry by its number, its id or its file's name.
    ///
    /// # Errors
    ///
    /// [`AgentError::UnknownEntry`].
    pub fn find(&self, wanted: &str) -> Result<Item, AgentError> {
        for place in [Place::New, Place::Conflict, Place::Dead] {
            for file in self.files(place)? {
                let is_it = match file.parse::<Name>() {
                    Ok(name) => {
                        file == wanted
                            || file.strip_suffix(".json") == Some(wanted)
                            || wanted.parse() == Ok(name.seq)
                            || wanted.parse() == Ok(name.id)
                    }
                    Err(_) => file == wanted,
                };
                if is_it && let Some(item) = self.item(place, &file)? {
                    return Ok(item);
                }
            }
        }
        Err(AgentError::UnknownEntry { name: wanted.to_owned() })
    }

    /// Puts a refused entry back where it waits, in its old place in the order.
    ///
    /// # Errors
    ///
    /// [`AgentError::NotRefused`], or [`AgentError::Unreadable`] for one that no server would take.
    pub fn retry(&self, item: &Item) -> Result<(), AgentError> {
        if item.place == Place::New {
            return Err(AgentError::NotRefused { name: item.file.clone() });
        }
        if item.entry.is_err() {
            return Err(AgentError::Unreadable { name: item.file.clone() });
        }
        let from = self.layout.directory(item.place).join(&item.file);
        let to = self.layout.directory(Place::New).join(&item.file);
        fs::rename(&from, &to).map_err(|error| AgentError::file("move", &from, error))?;
        sync_directory(&self.layout.directory(Place::New))?;
        remove(&answer_path(&from))?;
        sync_directory(&self.layout.directory(item.place))
    }

    /// Deletes an entry and what was said about it. Nothing else deletes what was not answered for.
    ///
    /// # Errors
    ///
    /// [`AgentError::File`].
    pub fn drop_item(&self, item: &Item) -> Result<(), AgentError> {
        let path = self.layout.directory(item.place).join(&item.file);
        remove(&path)?;
        remove(&answer_path(&path))?;
        sync_directory(&self.layout.directory(item.place))
    }
}

/// Names of entries in a place, without the words beside them.
pub(super) fn files(layout: &Layout, place: Place) -> Result<Vec<String>, AgentError> {
    Ok(layout.names(place)?.into_iter().filter(|name| !name.ends_with(ANSWER)).collect())
}

/// Moves a file from new/ to conflict/ or dead/, the server's words first: so no refused entry is ever without them.
pub(super) fn refuse(layout: &Layout, file: &str, place: Place, answer: &Answer) -> Result<(), AgentError> {
    let from = layout.directory(Place::New).join(file);
    let to = layout.directory(place).join(file);
    let words = serde_json::to_vec(answer).expect("an answer has text keys only");
    let beside = answer_path(&to);
    let aside = layout.directory(Place::Tmp).join(beside.file_name().unwrap_or_default());
    place_durably(&aside, &beside, &words)?;
    crate::ground::fault::point("outbox.refused");
    fs::rename(&from, &to).map_err(|error| AgentError::file("move", &from, error))?;
    sync_directory(&layout.directory(place))?;
    sync_directory(&layout.directory(Place::New))
}

/// Removes words whose entry never came, as a crash between both leaves them.
pub(super) fn clear_orphans(layout: &Layout) -> Result<(), AgentError> {
    for place in [Place::Conflict, Place::Dead] {
        let directory = layout.directory(place);
        for name in layout.names(place)? {
            let Some(entry) = name.strip_suffix(ANSWER) else { continue };
            if !directory.join(entry).exists() {
                remove(&directory.join(&name))?;
            }
        }
    }
    Ok(())
}

fn answer_path(entry: &Path) -> PathBuf {
    let mut name = entry.file_name().unwrap_or_default().to_owned();
    name.push(ANSWER);
    entry.with_file_name(name)
}

/// Removes a file; one that has gone is no error.
pub(super) fn remove(path: &Path) -> Result<(), AgentError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(AgentError::file("remove", path, error)),
        _ => Ok(()),
    }
}
