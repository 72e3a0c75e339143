//! The blob cache: files named by their BLAKE3 digest, verified before they get their name.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use surge_protocol::Digest;
use surge_protocol::task::BlobRef;
use thiserror::Error;

#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

#[derive(Debug, Error)]
pub enum BlobError {
    #[error("blob {digest}: {actual} bytes came, {expected} were announced")]
    Size { digest: Digest, expected: u64, actual: u64 },
    #[error("blob {expected}: what came has digest {actual}")]
    Digest { expected: Digest, actual: Digest },
    #[error("the blob cache {path} can't be used")]
    Io { path: PathBuf, source: io::Error },
}

impl BlobError {
    /// Whether the disk is full.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// A blob on its way in. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    file: tempfile::NamedTempFile,
    hasher: blake3::Hasher,
    size: u64,
    expected: BlobRef,
    target: PathBuf,
}

impl Blobs {
    /// Uses `folder`, creating it.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(folder).map_err(|source| BlobError::Io { path: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    fn io(&self) -> impl FnOnce(io::Error) -> BlobError + '_ {
        |source| BlobError::Io { path: self.folder.clone(), source }
    }

    /// Opens a blob that is held; `None` when it is not, or not whole.
    #[must_use]
    pub fn get(&self, blob: BlobRef) -> Option<File> {
        let file = File::open(self.path(blob.digest)).ok()?;
        (file.metadata().ok()?.len() == blob.size).then_some(file)
    }

    /// The bytes of a held blob, verified again: a disk can rot.
    ///
    /// # Errors
    /// When it is missing or not what its name says.
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, BlobError> {
        let mut bytes = Vec::new();
        File::open(self.path(digest)).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(self.io())?;
        let actual = Digest::of(&bytes);
        if actual == digest { Ok(bytes) } else { Err(BlobError::Digest { expected: digest, actual }) }
    }

    /// Digests of all held blobs.
    #[must_use]
    pub fn held(&self) -> Vec<Digest> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// Keeps `bytes`.
    ///
    /// # Errors
    /// A full disk among others.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, BlobError> {
        let blob = BlobRef { digest: Digest::of(bytes), size: bytes.len() as u64 };
        let mut incoming = self.receive(blob)?;
        incoming.write(bytes)?;
        incoming.finish()?;
        Ok(blob)
    }

    /// Forgets a blob.
    pub fn remove(&self, digest: Digest) {
        // A blob that can't be removed costs space, nothing else.
        let _ = fs::remove_file(self.path(digest));
    }

    /// Begins to receive a blob.
    ///
    /// # Errors
    /// When the cache can't be written.
    pub fn receive(&self, expected: BlobRef) -> Result<Incoming, BlobError> {
        let file = tempfile::NamedTempFile::new_in(&self.folder).map_err(self.io())?;
        let target = self.path(expected.digest);
        Ok(Incoming { file, hasher: blake3::Hasher::new(), size: 0, expected, target })
    }
}

impl Incoming {
    /// Takes the next bytes; refuses more than were announced before writing them.
    ///
    /// # Errors
    /// `Size`, or the disk's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.size += bytes.len() as u64;
        if self.size > self.expected.size {
            return Err(self.wrong_size());
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|source| BlobError::Io { path: self.target.clone(), source })
    }

    fn wrong_size(&self) -> BlobError {
        BlobError::Size { digest: self.expected.digest, expected: self.expected.size, actual: self.size }
    }

    /// Verifies what came and gives it its name.
    ///
    /// # Errors
    /// `Size` or `Digest` when it is not what was announced; nothing is kept then.
    pub fn finish(self) -> Result<(), BlobError> {
        if self.size != self.expected.size {
            return Err(self.wrong_size());
        }
        let actual = Digest(*self.hasher.finalize().as_bytes());
        if actual != self.expected.digest {
            return Err(BlobError::Digest { expected: self.expected.digest, actual });
        }
        let io = |source| BlobError::Io { path: self.target.clone(), source };
        self.file.as_file().sync_all().map_err(io)?;
        self.file.persist(&self.target).map_err(|error| io(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_announced_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let kept = blobs.put(b"hello").unwrap();
        assert_eq!(blobs.read(kept.digest).unwrap(), b"hello");
        assert_eq!(blobs.held(), [kept.digest]);

        let announced = BlobRef { digest: Digest::of(b"abc"), size: 3 };
        let mut wrong = blobs.receive(announced).unwrap();
        wrong.write(b"abd").unwrap();
        assert!(matches!(wrong.finish(), Err(BlobError::Digest { .. })));
        assert!(matches!(blobs.receive(announced).unwrap().write(b"abcd"), Err(BlobError::Size { .. })));
        assert!(matches!(blobs.receive(announced).unwrap().finish(), Err(BlobError::Size { .. })));
        assert!(blobs.get(announced).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-done stays");
    }

    #[test]
    fn a_rotten_blob_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let kept = blobs.put(b"hello").unwrap();
        fs::write(folder.path().join(kept.digest.to_string()), b"jello").unwrap();
        assert!(matches!(blobs.read(kept.digest), Err(BlobError::Digest { .. })));
    }
}
