//! Takes the engine's locks, also soon after an engine that was killed.
//!
//! A process that is about to become a worker holds a copy of everything that its engine had open until it has begun. On
//! a busy machine, at the worker's priority, that takes a while, and the locks of a dead engine stay held so long.
//! Deliberately absent: breaking a lock. Who holds one is waited for when it is known to be dead, and respected otherwise.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use surge_platform::lock::{self, FileLock, LockError, MachineLock};

/// What an orphaned worker may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// Locks a home by the file at `path`, and writes down who did. Also: whether an engine before this one was killed.
///
/// # Errors
/// `Held` when a living engine has it.
pub(crate) fn home(path: &Path) -> Result<(FileLock, bool), LockError> {
    let killed = holder(path).is_some_and(|pid| !alive(pid));
    let lock = if killed { patiently(|| lock::file(path))? } else { lock::file(path)? };
    lock.write(&std::process::id().to_string())?;
    Ok((lock, killed))
}

/// Locks the machine; patiently when `killed` says that an engine was killed, which may have had it.
///
/// # Errors
/// `Held` when another engine has it.
pub(crate) fn machine(killed: bool) -> Result<MachineLock, LockError> {
    if killed { patiently(lock::machine) } else { lock::machine() }
}

/// Notes that the engine ends as it should: nobody need look for it. What another has written at that path meanwhile stays.
pub(crate) fn leave(home: &FileLock) {
    // A pid that stays is looked up in vain.
    let _ = home.write("");
}

fn holder(path: &Path) -> Option<Pid> {
    fs::read_to_string(path).ok()?.trim().parse().ok().and_then(Pid::from_raw)
}

fn alive(pid: Pid) -> bool {
    // Somebody else's process is alive, too.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

fn patiently<T>(take: impl Fn() -> Result<T, LockError>) -> Result<T, LockError> {
    let begun = Instant::now();
    loop {
        match take() {
            Err(LockError::Held) if begun.elapsed() < PATIENCE => sleep(LOOK),
            taken => return taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_engine_keeps_its_home_and_a_dead_ones_children_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.lock");
        let (mine, killed) = home(&path).unwrap();
        assert!(!killed);
        assert!(matches!(home(&path), Err(LockError::Held)), "this process is alive");

        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        fs::write(&path, child.id().to_string()).unwrap();
        let waits = std::thread::spawn({
            let path = path.clone();
            move || home(&path)
        });
        drop(mine);
        let (next, killed) = waits.join().unwrap().unwrap();
        assert!(killed);
        leave(&next);
        drop(next);
        assert!(!home(&path).unwrap().1);
    }
}
