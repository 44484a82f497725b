//! Writing an archive.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::ArchiveError;
use super::manifest::{Compression, FILE, Manifest};
use crate::ground::wire::id::RecordId;

/// zstd's own default: fast enough for a disk, small enough to matter.
const ZSTD_LEVEL: i32 = 3;

/// Bytes that are handed to the disk at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// What lies in the repository, not yet visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub sha256: String,
    pub stored_bytes: u64,
    pub source_bytes: u64,
}

/// An archive that is being written; dropped before it is published it leaves nothing.
pub struct Writer {
    repository: PathBuf,
    record: RecordId,
    aside: PathBuf,
    sink: Option<Sink>,
    source_bytes: u64,
    /// For whoever looks at progress meanwhile.
    done: Arc<AtomicU64>,
    is_published: bool,
}

enum Sink {
    Plain(Hashing),
    Zstd(Box<zstd::Encoder<'static, Hashing>>),
}

/// Hashes and counts what goes to the disk.
struct Hashing {
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.sink {
            Some(Sink::Plain(sink)) => sink.write(bytes),
            Some(Sink::Zstd(sink)) => sink.write(bytes),
            None => Err(io::Error::other("the archive is closed")),
        }?;
        self.source_bytes += count as u64;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Some(Sink::Plain(sink)) => sink.flush(),
            Some(Sink::Zstd(sink)) => sink.flush(),
            None => Ok(()),
        }
    }
}

impl Writer {
    /// Begins an archive beside its place.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Exists`], or what the file system says.
    pub fn begin(
        repository: &Path,
        record: RecordId,
        payload: &str,
        compression: Compression,
        done: Arc<AtomicU64>,
    ) -> Result<Writer, ArchiveError> {
        if repository.join(record.to_string()).exists() {
            return Err(ArchiveError::Exists { record: record.to_string() });
        }
        let aside = repository.join(format!(".{record}.tmp"));
        DirBuilder::new()
            .mode(0o700)
            .create(&aside)
            .map_err(|error| ArchiveError::file("make", &aside, error))?;
        let path = aside.join(payload);
        let file = create(&path).map_err(|error| ArchiveError::file("make", &path, error))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let hashing = Hashing { file, hasher: Sha256::new(), bytes: 0 };
        let sink = match compression {
            Compression::None => Sink::Plain(hashing),
            Compression::Zstd => {
                let encoder = zstd::Encoder::new(hashing, ZSTD_LEVEL);
                Sink::Zstd(Box::new(encoder.map_err(|error| ArchiveError::file("compress", &path, error))?))
            }
        };
        Ok(Writer {
            repository: repository.to_owned(),
            record,
            aside,
            sink: Some(sink),
            source_bytes: 0,
            done,
            is_published: false,
        })
    }

    /// Ends the stream: everything is on the disk, and nothing is visible.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn close(&mut self) -> Result<Stored, ArchiveError> {
        let failed = |error| ArchiveError::file("write", &self.aside, error);
        let sink = self.sink.take().ok_or_else(|| failed(io::Error::other("it is closed")))?;
        let hashing = match sink {
            Sink::Plain(hashing) => hashing,
            Sink::Zstd(encoder) => encoder.finish().map_err(failed)?,
        };
        let file = hashing.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        let sha256 = hashing.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Stored { sha256, stored_bytes: hashing.bytes, source_bytes: self.source_bytes })
    }

    /// Makes the archive visible under its id, at once and for good.
    ///
    /// # Errors
    ///
    /// What the file system says; then the archive is not visible.
    pub fn publish(mut self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let path = self.aside.join(FILE);
        let text = serde_json::to_vec_pretty(manifest).expect("a manifest has text keys only");
        let written = create(&path).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(|error| ArchiveError::file("write", &path, error))?;
        sync(&self.aside)?;
        crate::ground::fault::point("archive.synced");
        let place = self.repository.join(self.record.to_string());
        fs::rename(&self.aside, &place).map_err(|error| ArchiveError::file("publish", &place, error))?;
        self.is_published = true;
        sync(&self.repository)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = fs::remove_dir_all(&self.aside);
        }
    }
}

/// Removes an archive, which is invisible from the first moment on. One that is not there is no error.
///
/// # Errors
///
/// What the file system says.
pub fn remove(repository: &Path, record: RecordId) -> Result<(), ArchiveError> {
    let place = repository.join(record.to_string());
    let aside = repository.join(format!(".{record}.gone"));
    match fs::rename(&place, &aside) {
        Ok(()) => sync(repository)?,
        // Perhaps an earlier attempt got half way.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ArchiveError::file("remove", &place, error)),
    }
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ArchiveError::file("remove", &aside, error))
        }
        _ => Ok(()),
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn sync(directory: &Path) -> Result<(), ArchiveError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| ArchiveError::file("sync", directory, error))
}
