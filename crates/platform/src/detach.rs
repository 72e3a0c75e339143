//! Becoming a process of one's own: no terminal, no session of whoever started it, none of its open files.

#[cfg(unix)]
#[expect(unsafe_code, reason = "closing descriptors that nobody here owns")]
mod unix;
#[cfg(unix)]
pub use unix::own_session;
