//! Changes of one file by several commands: whoever reads it, to write it changed, holds a lock meanwhile.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

/// How long another command may hold a file: a change takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// The right to change a file, until dropped or until this process ends, however it ends.
#[derive(Debug)]
pub struct Locked(#[expect(dead_code, reason = "dropping it is its use")] File);

/// Waits until no other command changes `path`. The lock is on a file beside it, `.NAME.lock`, since the file itself is
/// replaced by a change.
///
/// # Errors
/// `TimedOut` when another command holds it for half a minute; else the file system's.
pub fn lock(path: &Path) -> io::Result<Locked> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".lock");
    let beside = path.with_file_name(hidden);
    // A lock needs no right to write, so that root's does not keep the owner out.
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(beside, flags, 0o644.into())?);
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Locked(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => sleep(LOOK),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "another command has been changing it for long"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_changes_neither_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("count");
        std::fs::write(&path, "0").unwrap();
        let add = || {
            let _locked = lock(&path).unwrap();
            let count: u32 = std::fs::read_to_string(&path).unwrap().parse().unwrap();
            super::super::write_atomic(&path, (count + 1).to_string().as_bytes(), 0o600).unwrap();
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10).for_each(|_| add()));
            }
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "80");
    }
}
