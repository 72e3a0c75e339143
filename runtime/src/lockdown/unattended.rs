//! Stops this process when it has computed all that its supervisor allowed it so far: then nobody attends to it.
//!
//! The kernel counts, and says so by SIGXCPU. (`RLIMIT_CPU`'s soft limit, which the supervisor moves on while it lives
//! and is not stopped itself.)
//!
//! Deliberately absent: going on. The supervisor resumes this process like one that it has suspended.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

/// This process's number, which a locked-down process can't ask for.
static OWN: AtomicI32 = AtomicI32::new(0);

/// From here on SIGXCPU stops this process.
pub(super) fn stop_at_end_of_allowance() -> io::Result<()> {
    OWN.store(rustix::process::getpid().as_raw_pid(), Ordering::Relaxed);
    let handler: extern "C" fn(libc::c_int) = stop;
    // SAFETY: all zeroes is a valid action: no flags, and an empty set of signals that are blocked meanwhile.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    // Calls that it interrupts go on, and it needs nothing of the program's stack.
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the action outlives the call; its handler does nothing but what a handler may.
    match unsafe { libc::sigaction(libc::SIGXCPU, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// This process's number, once it may stop itself.
pub(super) fn own_pid() -> i32 {
    OWN.load(Ordering::Relaxed)
}

extern "C" fn stop(_: libc::c_int) {
    // SAFETY: kill(2) may be called by a handler; the number is this process's own.
    unsafe { libc::kill(own_pid(), libc::SIGSTOP) };
}
