//! What a terminal's job control does to this process: Ctrl-Z, and output from the background.
//!
//! Deliberately absent: the workers. They are in process groups of their own, and a terminal stops none of them.

#[cfg(unix)]
#[expect(unsafe_code, reason = "signals have no safe interface")]
mod unix;
#[cfg(unix)]
pub use unix::{STOP, never_stop_for_output, stop_this_process};
