//! Memory that this process holds and does not need: freed blocks that its allocator would keep, code that ran once.
//!
//! Deliberately absent: any say in how much is used.

#[cfg_attr(all(target_os = "linux", target_env = "gnu"), path = "memory/glibc.rs")]
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), path = "memory/elsewhere.rs")]
#[cfg_attr(all(target_os = "linux", target_env = "gnu"), expect(unsafe_code, reason = "telling the allocator"))]
mod os;

/// From here on large blocks go back to the system when they are freed, and of small ones little is kept. For programs
/// that do large work now and then, and nothing for a night.
pub fn keep_little() {
    os::keep_little();
}

/// Has all threads share two heaps, where each would have one of its own with what it freed in it. To be called before
/// there are threads: later it may have no effect. For programs with many threads that rarely do anything.
pub fn share_heaps() {
    os::share_heaps();
}

/// Gives back what is not in use now: for a program that has nothing to do while its owner works. Code is mapped again,
/// from the system's cache, when it runs again; nothing is lost.
pub fn let_go() {
    os::let_go();
}
