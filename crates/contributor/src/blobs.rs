//! The blob cache: files named by their BLAKE3 digest, verified before they get their name, the longest unused of them
//! removed when it would outgrow its cap.
//!
//! What a task needs that runs or waits is pinned and stays. Deliberately absent: what else is on the disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use surge_protocol::Digest;
use surge_protocol::task::BlobRef;
use thiserror::Error;

use crate::private;

/// Blobs that are named to the coordinator as held. It takes no longer list.
const MOST_NAMED: usize = 5_000;
/// How the names of blobs begin that are on their way in.
const UNFINISHED: &str = ".incoming-";

#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
    /// Bytes that all blobs together may take.
    cap: u64,
    claims: Arc<Mutex<Claims>>,
}

/// What must stay, and what is on its way.
#[derive(Debug, Default)]
struct Claims {
    pins: HashMap<Digest, u32>,
    /// Announced bytes of blobs that are being received.
    incoming: u64,
}

/// Keeps a blob in the cache until it is dropped, whether it is there already or comes later.
#[derive(Debug)]
pub struct Pin {
    digest: Digest,
    claims: Arc<Mutex<Claims>>,
}

/// A blob of the cache as its folder has it.
#[derive(Debug)]
struct Kept {
    digest: Digest,
    size: u64,
    used: SystemTime,
}

#[derive(Debug, Error)]
pub enum BlobError {
    #[error("blob {digest}: {actual} bytes came, {expected} were announced")]
    Size { digest: Digest, expected: u64, actual: u64 },
    #[error("blob {expected}: what came has digest {actual}")]
    Digest { expected: Digest, actual: Digest },
    #[error("a blob of {size} bytes does not fit: of the cache's {cap} bytes, {pinned} are in use by other tasks")]
    NoRoom { size: u64, cap: u64, pinned: u64 },
    #[error("the blob cache {path} can't be used")]
    Io { path: PathBuf, source: io::Error },
}

impl BlobError {
    /// Whether the disk is full.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether this machine is at fault: neither the other side nor the line.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::NoRoom { .. })
    }

    /// Whether the blob is gone or rotten, and will never be read again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Digest { .. } | Self::Size { .. } => true,
            Self::NoRoom { .. } => false,
        }
    }
}

/// A blob on its way in. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    file: tempfile::NamedTempFile,
    hasher: blake3::Hasher,
    size: u64,
    expected: BlobRef,
    room: Room,
}

/// Bytes set aside in the cache.
#[derive(Debug)]
struct Room {
    blobs: Blobs,
    size: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.blobs.claims().incoming -= self.size;
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pins) = claims.pins.get_mut(&self.digest) {
            *pins -= 1;
            if *pins == 0 {
                claims.pins.remove(&self.digest);
            }
        }
    }
}

impl Blobs {
    /// Uses `folder` for at most `cap` bytes, creating it, and removes what an engine before this one left unfinished.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(folder: &Path, cap: u64) -> Result<Self, BlobError> {
        private::folder(folder).map_err(|source| BlobError::Io { path: folder.to_owned(), source })?;
        let blobs = Self { folder: folder.to_owned(), cap, claims: Arc::default() };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
                // What can't be removed costs space, nothing else.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(blobs)
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `digest` from being removed while the pin lives.
    #[must_use]
    pub fn pin(&self, digest: Digest) -> Pin {
        *self.claims().pins.entry(digest).or_default() += 1;
        Pin { digest, claims: Arc::clone(&self.claims) }
    }

    /// Every blob, the longest unused first.
    fn kept(&self) -> Vec<Kept> {
        let read = |entry: fs::DirEntry| {
            let digest = entry.file_name().to_str()?.parse().ok()?;
            let metadata = entry.metadata().ok()?;
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            Some(Kept { digest, size: metadata.len(), used })
        };
        let mut kept: Vec<_> = fs::read_dir(&self.folder).into_iter().flatten().flatten().filter_map(read).collect();
        kept.sort_by_key(|kept| kept.used);
        kept
    }

    /// Removes unpinned blobs, the longest unused first, until `bytes` are freed or nothing more can go.
    pub fn free(&self, bytes: u64) -> u64 {
        let kept = self.kept();
        // Under the lock, so that nothing is pinned while it is removed.
        let claims = self.claims();
        self.evict(&kept, &claims, bytes)
    }

    fn evict(&self, kept: &[Kept], claims: &Claims, bytes: u64) -> u64 {
        let mut freed = 0;
        for blob in kept.iter().filter(|blob| !claims.pins.contains_key(&blob.digest)) {
            if freed >= bytes {
                break;
            }
            if fs::remove_file(self.path(blob.digest)).is_ok() {
                freed += blob.size;
            }
        }
        freed
    }

    /// Sets `size` bytes aside for a blob that comes.
    fn make_room(&self, size: u64) -> Result<Room, BlobError> {
        let kept = self.kept();
        let mut claims = self.claims();
        let sum = |blobs: &mut dyn Iterator<Item = &Kept>| blobs.map(|blob| blob.size).sum::<u64>();
        let pinned = sum(&mut kept.iter().filter(|blob| claims.pins.contains_key(&blob.digest)));
        let total = sum(&mut kept.iter()).saturating_add(claims.incoming);
        let over = total.saturating_add(size).saturating_sub(self.cap);
        if over > 0 && self.evict(&kept, &claims, over) < over {
            return Err(BlobError::NoRoom { size, cap: self.cap, pinned: pinned.saturating_add(claims.incoming) });
        }
        claims.incoming += size;
        Ok(Room { blobs: self.clone(), size })
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
        // For the choice of what to remove; without it, it may be fetched once more.
        let _ = file.set_modified(SystemTime::now());
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

    /// Digests of held blobs, the latest used first.
    #[must_use]
    pub fn held(&self) -> Vec<Digest> {
        self.kept().into_iter().rev().map(|kept| kept.digest).take(MOST_NAMED).collect()
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
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder).map_err(self.io())?;
        let room = self.make_room(expected.size)?;
        Ok(Incoming { file, hasher: blake3::Hasher::new(), size: 0, expected, room })
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
        let Err(source) = self.file.write_all(bytes) else { return Ok(()) };
        let blobs = &self.room.blobs;
        let error = BlobError::Io { path: blobs.folder.clone(), source };
        // What was written of these bytes is not known: the receiver begins again, now with more room.
        if error.disk_full() {
            blobs.free(self.expected.size);
        }
        Err(error)
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
        let blobs = &self.room.blobs;
        let io = |source| BlobError::Io { path: blobs.folder.clone(), source };
        self.file.as_file().sync_all().map_err(io)?;
        self.file.persist(blobs.path(self.expected.digest)).map_err(|error| io(error.error))?;
        // The name is on the disk only when its folder is.
        File::open(&blobs.folder).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_announced_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), 1_000).unwrap();
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
        let blobs = Blobs::open(folder.path(), 1_000).unwrap();
        let kept = blobs.put(b"hello").unwrap();
        fs::write(folder.path().join(kept.digest.to_string()), b"jello").unwrap();
        assert!(matches!(blobs.read(kept.digest), Err(BlobError::Digest { .. })));
    }

    /// Ten bytes, other ones for each `n`, used one after the other.
    fn put(blobs: &Blobs, n: u8) -> Digest {
        let digest = blobs.put(&[n; 10]).unwrap().digest;
        let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(n));
        File::open(blobs.path(digest)).unwrap().set_modified(used).unwrap();
        digest
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_pinned_stays() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), 40).unwrap();
        let [one, two, three, four] = [1, 2, 3, 4].map(|n| put(&blobs, n));
        let pin = blobs.pin(one);
        assert!(blobs.get(BlobRef { digest: two, size: 10 }).is_some(), "used just now");
        let five = put(&blobs, 5);
        assert_eq!(blobs.held().len(), 4);
        assert!(!blobs.held().contains(&three));

        let pins = [two, four, five].map(|digest| blobs.pin(digest));
        let refused = blobs.receive(BlobRef { digest: three, size: 1 }).unwrap_err();
        assert!(matches!(refused, BlobError::NoRoom { size: 1, cap: 40, pinned: 40 }), "{refused}");
        assert_eq!(blobs.held().len(), 4, "a refusal removes nothing that is in use");
        drop((pin, pins));
        let large = BlobRef { digest: Digest::of(b"large"), size: 40 };
        let incoming = blobs.receive(large).unwrap();
        assert!(blobs.held().is_empty());
        assert!(blobs.receive(BlobRef { digest: one, size: 1 }).is_err(), "what is on its way counts");
        drop(incoming);
        put(&blobs, 1);
    }

    #[test]
    fn what_was_left_unfinished_is_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".incoming-AbCdEf"), b"half a blob").unwrap();
        let blobs = Blobs::open(folder.path(), 1_000).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        put(&blobs, 1);
        assert_eq!(Blobs::open(folder.path(), 1_000).unwrap().held().len(), 1);
    }
}
