//! What is wrong with a migration file, found before any database is asked.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::statement::Place;

/// One fault of one file. A run collects them all before it stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub file: PathBuf,
    #[serde(flatten)]
    pub place: Option<Place>,
    pub fault: String,
}

impl Problem {
    /// A fault of the file as a whole.
    pub fn of_file(file: &Path, fault: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), place: None, fault: fault.into() }
    }

    /// A fault at one place of the file.
    pub fn at(file: &Path, place: Place, fault: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), place: Some(place), fault: fault.into() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if let Some(place) = self.place {
            write!(formatter, ":{}:{}", place.line, place.column)?;
        }
        write!(formatter, ": {}", self.fault)
    }
}
