//! macOS: the sandbox with nothing allowed, and no resource that a task does not need.
//!
//! Deliberately absent: the second step. Nothing in macOS forbids new executable memory to a process that had some, not
//! even the sandbox's `dynamic-code-generation` ("The mysterious case of (deny dynamic-code-generation)", by an engineer
//! of Firefox's sandbox), so that this says so and no program is started. Compiled for macOS, and never yet run on it.

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::ptr;

use rustix::process::{Resource, Rlimit, setrlimit};
use surge_protocol::frame::Lockdown;

use super::Walls;

/// What is open stays open; nothing else can be reached: no file, port, process, service or signal.
const PROFILE: &CStr = c"(version 1)(deny default)";

unsafe extern "C" {
    /// Deprecated for years and not replaced: browsers rely on it.
    fn sandbox_init(profile: *const c_char, flags: u64, error: *mut *mut c_char) -> c_int;
    fn sandbox_free_error(error: *mut c_char);
}

/// Denies everything that the kernel's sandbox knows.
pub(crate) fn forbid_files() -> io::Result<Walls> {
    let mut error: *mut c_char = ptr::null_mut();
    // SAFETY: the profile is NUL-terminated and outlives the call; the error is written to a local.
    if unsafe { sandbox_init(PROFILE.as_ptr(), 0, &raw mut error) } == 0 {
        return Ok(Walls { level: Lockdown::Full, missing: "" });
    }
    if error.is_null() {
        return Err(io::Error::other("the sandbox can't be entered"));
    }
    // SAFETY: the system wrote a NUL-terminated text, which is freed once and not used afterwards.
    let text = unsafe {
        let text = CStr::from_ptr(error).to_string_lossy().into_owned();
        sandbox_free_error(error);
        text
    };
    Err(io::Error::other(format!("the sandbox can't be entered: {text}")))
}

/// No new descriptor, no byte into any file, no process, no core dump.
pub(crate) fn forbid_calls() -> io::Result<()> {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Nofile, Resource::Fsize, Resource::Nproc, Resource::Core, Resource::Memlock] {
        setrlimit(resource, nothing)?;
    }
    Ok(())
}

/// # Errors
/// Always: there is no such thing here, and a worker that can't lock itself down runs nothing.
pub(crate) fn forbid_new_code() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "macOS has no way to forbid a process new executable memory"))
}
