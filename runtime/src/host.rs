//! The little that a locked-down worker still has of its operating system: the descriptors that it was started with, and
//! its own CPU clock.
//!
//! Deliberately absent: opening files, sockets or anything else.

#[cfg_attr(unix, path = "host/unix.rs")]
#[cfg_attr(windows, path = "host/windows.rs")]
#[expect(unsafe_code, reason = "what was passed at start is known by its number only; a clock that has no safe form")]
mod os;

pub use os::stdout;
pub(crate) use os::{cpu_time, data_set, read_at};
