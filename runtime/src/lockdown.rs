//! Takes from this process all that a task does not need, before the first byte of a stranger's module is read.
//!
//! Deliberately absent: trust in the WASM engine. What is here holds when a program has broken out of it: no file,
//! socket, process, signal or new machine code is in reach, because the kernel refuses them. Two walls do the same
//! work where they can: a filter over system calls, and a rule set over files, ports and signals.

#[cfg_attr(target_os = "linux", path = "lockdown/linux.rs")]
#[cfg_attr(target_os = "macos", path = "lockdown/macos.rs")]
#[cfg_attr(windows, path = "lockdown/windows.rs")]
#[cfg_attr(
    not(target_os = "linux"),
    expect(unsafe_code, reason = "there are no safe forms of these calls: one block an obligation")
)]
mod os;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe form of handling a signal")]
mod unattended;

use std::io;
use std::thread;

use surge_protocol::frame::Lockdown;
use thiserror::Error;

use crate::engine::THREAD_STACK;

pub(crate) use os::forbid_new_code;
#[cfg(target_os = "linux")]
pub use probe::{Wall, list as probes, probe};

/// What stands once a process is locked down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walls {
    pub level: Lockdown,
    /// Why one of them is missing, in words for the machine's owner; empty at [`Lockdown::Full`].
    pub missing: &'static str,
}

/// Why a process is not locked down.
#[derive(Debug, Error)]
pub enum LockdownError {
    #[error("the worker can't lock itself down: {0}")]
    Refused(#[source] io::Error),
    #[error("there is no thread for the task: {0}")]
    Thread(#[source] io::Error),
    #[error("the worker has a defect; what it said before names it")]
    Defect,
}

/// Locks this process down for good, as before a task, and says how far that went.
///
/// # Errors
/// When the system refuses what every task needs.
pub fn lock_down() -> Result<Walls, LockdownError> {
    locked(THREAD_STACK, |walls| walls)
}

/// Runs `work` on a thread of its own with a stack of `stack` bytes, locked down; `work` gets what stands.
///
/// # Errors
/// When the system refuses the thread or the filter over system calls: nothing was run then.
pub(crate) fn locked<T: Send>(stack: usize, work: impl FnOnce(Walls) -> T + Send) -> Result<T, LockdownError> {
    // Before the thread: threads that are there already would not be bound by it.
    let walls = os::forbid_files().map_err(LockdownError::Refused)?;
    thread::scope(|scope| {
        let run = move || {
            // The thread's own stack is there, and nothing else has to be opened or started from here on.
            os::forbid_calls().map_err(LockdownError::Refused)?;
            Ok(work(walls))
        };
        let task = thread::Builder::new().name("task".into()).stack_size(stack);
        let running = task.spawn_scoped(scope, run).map_err(LockdownError::Thread)?;
        running.join().unwrap_or(Err(LockdownError::Defect))
    })
}
