//! The source `directory`: a tree as a tar stream. What vanishes or changes while it is read is a warning, and the stream
//! stays whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tar::{Builder, EntryType, Header};

/// Most warnings that are kept; the rest is counted.
const MOST_WARNINGS: usize = 100;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub files: u64,
    pub warnings: Vec<String>,
    pub warnings_more: u64,
}

/// What goes into a stream, and what is looked at meanwhile.
pub struct Tree<'run> {
    pub includes: &'run [PathBuf],
    /// Patterns with `*` and `?`: of a whole path when they hold a slash, else of any name in it.
    pub excludes: &'run [String],
    pub files_done: &'run AtomicU64,
    /// Set to stop.
    pub is_cancelled: &'run AtomicBool,
}

impl Tree<'_> {
    /// Writes the stream. Paths lose their leading slash.
    ///
    /// # Errors
    ///
    /// What `sink` says, or `Interrupted` when it was cancelled. An include that is not there is `NotFound`.
    pub fn write(&self, sink: impl Write) -> io::Result<Found> {
        let mut builder = Builder::new(sink);
        builder.follow_symlinks(false);
        let mut read = Found::default();
        for include in self.includes {
            // One that is missing is no detail: the backup would be of nothing.
            fs::symlink_metadata(include)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", include.display())))?;
            // A stack of what is still to be read, not of calls: a tree may be deep.
            let mut stack = vec![include.clone()];
            while let Some(path) = stack.pop() {
                if self.is_cancelled.load(Ordering::Relaxed) {
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cancelled"));
                }
                if !self.is_excluded(&path) {
                    self.append(&mut builder, &path, &mut stack, &mut read)?;
                }
            }
        }
        builder.into_inner()?.flush()?;
        Ok(read)
    }

    fn append(
        &self,
        builder: &mut Builder<impl Write>,
        path: &Path,
        stack: &mut Vec<PathBuf>,
        read: &mut Found,
    ) -> io::Result<()> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return read.warn(path, &error),
        };
        let name = path.strip_prefix("/").unwrap_or(path);
        let kind = metadata.file_type();
        let mut header = Header::new_gnu();
        header.set_metadata(&metadata);
        if kind.is_dir() {
            if !name.as_os_str().is_empty() {
                builder.append_data(&mut header, name, io::empty())?;
            }
            match fs::read_dir(path).and_then(|found| found.collect::<io::Result<Vec<_>>>()) {
                Ok(mut found) => {
                    // The last is taken first; sorted, two runs over one tree give one stream.
                    found.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
                    stack.extend(found.iter().map(fs::DirEntry::path));
                }
                Err(error) => return read.warn(path, &error),
            }
        } else if kind.is_file() {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) => return read.warn(path, &error),
            };
            let mut counted =
                Exactly { file, left: metadata.len(), missing: 0, is_cancelled: self.is_cancelled };
            builder.append_data(&mut header, name, &mut counted)?;
            if counted.missing > 0 {
                read.warn(path, &io::Error::other("became shorter while it was read; padded with zeros"))?;
            }
            read.files += 1;
            self.files_done.fetch_add(1, Ordering::Relaxed);
        } else if kind.is_symlink() {
            match fs::read_link(path) {
                Ok(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_size(0);
                    builder.append_link(&mut header, name, target)?;
                }
                Err(error) => return read.warn(path, &error),
            }
        } else if kind.is_fifo() {
            builder.append_data(&mut header, name, io::empty())?;
        } else {
            // Sockets live with their programs; devices are no data.
            return read.warn(path, &io::Error::other("is a socket or a device; left out"));
        }
        Ok(())
    }

    fn is_excluded(&self, path: &Path) -> bool {
        self.excludes.iter().any(|pattern| {
            if pattern.contains('/') {
                fits(pattern.as_bytes(), path.as_os_str().as_encoded_bytes())
            } else {
                path.file_name().is_some_and(|name| fits(pattern.as_bytes(), name.as_encoded_bytes()))
            }
        })
    }
}

impl Found {
    fn warn(&mut self, path: &Path, error: &io::Error) -> io::Result<()> {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(format!("{}: {error}", path.display()));
        } else {
            self.warnings_more += 1;
        }
        Ok(())
    }
}

/// Exactly as many bytes as the header says, whatever the file does meanwhile.
struct Exactly<'run> {
    file: File,
    left: u64,
    missing: u64,
    is_cancelled: &'run AtomicBool,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cancelled"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..most).filter(|part| !part.is_empty()) else { return Ok(0) };
        let mut count = if self.missing == 0 { self.file.read(part)? } else { 0 };
        if count == 0 {
            part.fill(0);
            count = part.len();
            self.missing += count as u64;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Whether a pattern fits a text: `?` is one byte, `*` any number.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(one) if *one == b'?' || Some(one) == text.get(place) => {
                at += 1;
                place += 1;
            }
            _ => match star {
                // The star takes one more.
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    place = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|one| *one == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule itself, slowly.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|cut| naive(rest, &text[cut..])),
            Some((one, rest)) => text
                .split_first()
                .is_some_and(|(first, left)| (*one == b'?' || one == first) && naive(rest, left)),
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_as_the_naive_rule_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_stream_holds_the_tree_without_what_is_excluded() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("home");
        fs::create_dir_all(root.join("cache")).unwrap();
        fs::write(root.join("cache/big"), "x").unwrap();
        fs::write(root.join("notes"), "hello").unwrap();
        fs::write(root.join("empty"), "").unwrap();
        fs::write(root.join("old.bak"), "old").unwrap();
        std::os::unix::fs::symlink("notes", root.join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let excludes = vec!["*.bak".to_owned(), format!("{}/cache", root.display())];
        let (files_done, is_cancelled) = (AtomicU64::new(0), AtomicBool::new(false));
        let includes = [root.clone()];
        let tree = Tree {
            includes: &includes,
            excludes: &excludes,
            files_done: &files_done,
            is_cancelled: &is_cancelled,
        };
        let mut stream = Vec::new();
        let read = tree.write(&mut stream).unwrap();
        assert_eq!((read.files, files_done.load(Ordering::Relaxed)), (2, 2));
        assert!(read.warnings.len() == 1 && read.warnings[0].contains("socket"), "{:?}", read.warnings);
        let target = tempfile::tempdir().unwrap();
        tar::Archive::new(stream.as_slice()).unpack(target.path()).unwrap();
        let restored = target.path().join(root.strip_prefix("/").unwrap());
        assert_eq!(fs::read_to_string(restored.join("notes")).unwrap(), "hello");
        assert_eq!(fs::read_link(restored.join("link")).unwrap(), Path::new("notes"));
        let mut names: Vec<_> = fs::read_dir(&restored)
            .unwrap()
            .map(|one| one.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["empty", "link", "notes"]);
        is_cancelled.store(true, Ordering::Relaxed);
        assert!(tree.write(io::sink()).is_err());
        let missing = [root.join("missing")];
        let tree = Tree { includes: &missing, ..tree };
        is_cancelled.store(false, Ordering::Relaxed);
        assert_eq!(tree.write(io::sink()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
