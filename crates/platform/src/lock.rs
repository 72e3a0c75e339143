//! Locks that keep two engines apart: one per home folder, one per machine. Both end with the process, however it ends.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

#[derive(Debug, Error)]
pub enum LockError {
    #[error("held by another process")]
    Held,
    #[error("can't be taken")]
    Io(#[from] io::Error),
}

/// How often a file that is replaced while it is locked is locked anew.
const MOST_TRIES: u32 = 100;

/// A lock on a file, held until dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: LockPath,
}

/// Where a locked file was when it was locked. To be asked while the lock is held: then no other file can get its inode.
#[derive(Debug, Clone)]
pub struct LockPath {
    path: PathBuf,
    /// Device and inode.
    inode: (u64, u64),
}

/// Locks the file at `path`, creating it where it is missing.
///
/// # Errors
/// `Held` when another process has it.
pub fn file(path: &Path) -> Result<FileLock, LockError> {
    lock(path, || OpenOptions::new().create(true).truncate(false).write(true).open(path))
}

/// Locks what `open` opens at `path`, and opens again what was replaced before the lock was taken.
fn lock(path: &Path, mut open: impl FnMut() -> io::Result<File>) -> Result<FileLock, LockError> {
    for _ in 0..MOST_TRIES {
        let file = open()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(LockError::Held),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let path = LockPath { path: path.to_owned(), inode: inode(&file.metadata()?) };
        if !path.is_lost() {
            return Ok(FileLock { file, path });
        }
    }
    Err(io::Error::other("it is replaced again and again").into())
}

impl FileLock {
    #[must_use]
    pub fn path(&self) -> &LockPath {
        &self.path
    }

    /// Writes `text` into the locked file in place of what it has, wherever that file is by now.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

impl LockPath {
    /// Whether nothing or another file is at the path by now. Anybody can lock the path then, and the lock on the file that
    /// was there guards nothing. Where a disk gives no answer, nothing has changed as far as is known.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(found) => inode(&found) != self.inode,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

fn inode(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// The lock of this machine's one engine, held until dropped.
#[derive(Debug)]
pub struct MachineLock {
    #[cfg(target_os = "linux")]
    _socket: std::os::unix::net::UnixListener,
}

/// Takes the machine-wide lock: an abstract socket's name, which needs no folder that all users may write.
///
/// # Errors
/// `Held` when another engine runs on this machine, for whichever user.
#[cfg(target_os = "linux")]
pub fn machine() -> Result<MachineLock, LockError> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let name = SocketAddr::from_abstract_name("surge.engine")?;
    match UnixListener::bind_addr(&name) {
        Ok(socket) => Ok(MachineLock { _socket: socket }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(LockError::Held),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_lock_is_lost_when_its_file_is_removed_or_replaced_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = file(&path).unwrap();
        fs::write(&path, "another's word").unwrap();
        assert!(!lock.path().is_lost());
        fs::remove_file(&path).unwrap();
        assert!(lock.path().is_lost());
        let next = file(&path).unwrap();
        next.write("the next").unwrap();
        assert!(lock.path().is_lost() && !next.path().is_lost());
        lock.write("").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the next");
    }

    /// A path that can't be looked at: here, one that leads in a circle.
    #[test]
    fn what_gives_no_answer_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = file(&path).unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(!lock.path().is_lost());
    }

    #[test]
    fn a_file_that_is_replaced_before_it_is_locked_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut opened = 0;
        let taken = lock(&path, || {
            opened += 1;
            let file = File::create(&path)?;
            if opened == 1 {
                fs::remove_file(&path)?;
            }
            Ok(file)
        });
        assert!(!taken.unwrap().path().is_lost());
        assert!(lock(&path, tempfile::tempfile).is_err(), "it is never the file at the path");
    }
}
