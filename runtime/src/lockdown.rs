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

use std::io;
use std::thread;

use surge_protocol::frame::Lockdown;

pub(crate) use os::forbid_new_code;
#[cfg(target_os = "linux")]
pub use probe::{Wall, list as probes, probe};

/// Runs `work` on a thread of its own with a stack of `stack` bytes, locked down; `work` gets the level reached.
///
/// # Errors
/// When the system refuses the thread or the filter over system calls: nothing was run then.
pub(crate) fn locked<T: Send>(stack: usize, work: impl FnOnce(Lockdown) -> T + Send) -> io::Result<T> {
    // Before the thread: threads that are there already would not be bound by it.
    let level = os::forbid_files()?;
    thread::scope(|scope| {
        let run = move || {
            // The thread's own stack is there, and nothing else has to be opened or started from here on.
            os::forbid_calls()?;
            Ok(work(level))
        };
        let running = thread::Builder::new().name("task".into()).stack_size(stack).spawn_scoped(scope, run)?;
        running
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the worker has a defect; what it said before names it")))
    })
}
