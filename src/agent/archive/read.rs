//! Reading an archive back: to see that it is whole, and to restore it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ArchiveError;
use super::manifest::{Compression, FILE, MOST_BYTES, Manifest, VERSION};
use crate::ground::wire::config::SourceKind;
use crate::ground::wire::id::RecordId;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What must hold before anything is restored.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Name or id of the group that the archive must be of.
    pub group: String,
}

/// Reads what is said about an archive.
///
/// # Errors
///
/// [`ArchiveError::Unknown`], or [`ArchiveError::Damaged`] when it is not what it must be.
pub fn read_manifest(repository: &Path, record: RecordId) -> Result<Manifest, ArchiveError> {
    let path = repository.join(record.to_string()).join(FILE);
    let damaged = |reason: String| ArchiveError::Damaged { record: record.to_string(), reason };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ArchiveError::Unknown {
                repository: repository.to_owned(),
                record: record.to_string(),
            });
        }
        Err(error) => return Err(ArchiveError::file("open", &path, error)),
    };
    let mut text = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(|error| ArchiveError::file("read", &path, error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(damaged(format!("its manifest has more than {MOST_BYTES} bytes")));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if manifest.version != VERSION {
        return Err(damaged(format!(
            "its manifest is of version {}; use a newer highwater",
            manifest.version
        )));
    }
    if manifest.record != record {
        return Err(damaged(format!("its manifest is of {}", manifest.record)));
    }
    if manifest.payload.contains('/') || manifest.payload.starts_with('.') {
        return Err(damaged("its payload lies elsewhere".to_owned()));
    }
    Ok(manifest)
}

/// Reads every stored byte and compares size and digest with the manifest.
///
/// # Errors
///
/// [`ArchiveError::Damaged`].
pub fn verify(repository: &Path, record: RecordId) -> Result<Manifest, ArchiveError> {
    let manifest = read_manifest(repository, record)?;
    let mut reader = Checking::open(repository, &manifest)?;
    io::copy(&mut reader, &mut io::sink()).map_err(|error| reader.failed(error))?;
    reader.finish(&manifest)?;
    Ok(manifest)
}

/// Restores an archive into `target`, which must not exist or be empty: a tree for `directory`, a file for `command`.
/// The target appears when the last byte was read and the digest is right.
///
/// # Errors
///
/// [`ArchiveError::OtherGroup`], [`ArchiveError::InTheWay`], [`ArchiveError::Damaged`]; nothing is left then.
pub fn restore(
    repository: &Path,
    record: RecordId,
    guard: &Guard,
    target: &Path,
) -> Result<Manifest, ArchiveError> {
    let manifest = read_manifest(repository, record)?;
    if guard.group != manifest.group_name && guard.group != manifest.group.to_string() {
        return Err(ArchiveError::OtherGroup {
            record: record.to_string(),
            is: manifest.group_name,
            wanted: guard.group.clone(),
        });
    }
    let is_empty = fs::read_dir(target).is_ok_and(|mut found| found.next().is_none());
    if fs::symlink_metadata(target).is_ok() && !(is_empty && manifest.kind == SourceKind::Directory) {
        return Err(ArchiveError::InTheWay { path: target.to_owned() });
    }
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = target.with_file_name(format!(".{name}.restoring-{record}"));
    let cleared = Cleared(aside.clone());
    let mut reader = Checking::open(repository, &manifest)?;
    let unpacked = unpack(&mut reader, &manifest, &aside);
    // A damaged stream most often fails to decode first; the digest is the better word for it.
    let drained = io::copy(&mut reader, &mut io::sink()).map_err(|error| reader.failed(error));
    drained.and_then(|_| reader.finish(&manifest))?;
    unpacked.map_err(|error| ArchiveError::file("restore to", &aside, error))?;
    if is_empty {
        fs::remove_dir(target).map_err(|error| ArchiveError::file("replace", target, error))?;
    }
    fs::rename(&aside, target).map_err(|error| ArchiveError::file("restore to", target, error))?;
    drop(cleared);
    Ok(manifest)
}

/// Removes what was half restored.
struct Cleared(PathBuf);

impl Drop for Cleared {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_file(&self.0);
    }
}

fn unpack(reader: &mut Checking, manifest: &Manifest, aside: &Path) -> io::Result<()> {
    match manifest.compression {
        Compression::None => unpack_plain(reader, manifest.kind, aside),
        Compression::Zstd => unpack_plain(zstd::Decoder::new(reader)?, manifest.kind, aside),
    }
}

fn unpack_plain(mut reader: impl Read, kind: SourceKind, aside: &Path) -> io::Result<()> {
    match kind {
        SourceKind::Directory => {
            fs::create_dir(aside)?;
            let mut archive = tar::Archive::new(reader);
            archive.set_preserve_permissions(true);
            archive.set_preserve_mtime(true);
            archive.unpack(aside)
        }
        SourceKind::Command | SourceKind::Restic => {
            let mut file = File::create_new(aside)?;
            io::copy(&mut reader, &mut file)?;
            file.flush()?;
            file.sync_all()
        }
    }
}

/// Hashes what is read.
struct Checking {
    path: PathBuf,
    file: BufReader<File>,
    hasher: Sha256,
    bytes: u64,
}

impl Checking {
    fn open(repository: &Path, manifest: &Manifest) -> Result<Checking, ArchiveError> {
        let path = repository.join(manifest.record.to_string()).join(&manifest.payload);
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ArchiveError::Damaged {
                record: manifest.record.to_string(),
                reason: "its payload is missing".to_owned(),
            },
            _ => ArchiveError::file("open", &path, error),
        })?;
        let file = BufReader::with_capacity(CHUNK_BYTES, file);
        Ok(Checking { path, file, hasher: Sha256::new(), bytes: 0 })
    }

    fn failed(&self, error: io::Error) -> ArchiveError {
        ArchiveError::file("read", &self.path, error)
    }

    fn finish(self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let damaged = |reason: String| ArchiveError::Damaged { record: manifest.record.to_string(), reason };
        if self.bytes != manifest.stored_bytes {
            return Err(damaged(format!(
                "{} bytes are there, {} were stored",
                self.bytes, manifest.stored_bytes
            )));
        }
        let sha256: String = self.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if sha256 == manifest.sha256 { Ok(()) } else { Err(damaged("its digest is another".to_owned())) }
    }
}

impl Read for Checking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}
