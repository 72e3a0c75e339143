//! Locks that keep two engines apart: one per home folder, one per machine. Both end with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum LockError {
    #[error("held by another process")]
    Held,
    #[error("can't be taken")]
    Io(#[from] io::Error),
}

/// A lock on a file, held until dropped.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "dropping it is its use")] File);

/// Locks the file at `path`, creating it where it is missing.
///
/// # Errors
/// `Held` when another process has it.
pub fn file(path: &Path) -> Result<FileLock, LockError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(FileLock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(LockError::Held),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
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
