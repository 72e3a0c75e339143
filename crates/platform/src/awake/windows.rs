//! Windows: the thread's execution state. Compiled, and not run yet.

use std::io;

use windows_sys::Win32::System::Power::{ES_CONTINUOUS, ES_SYSTEM_REQUIRED, SetThreadExecutionState};

/// Belongs to the thread that took it.
#[derive(Debug)]
pub(super) struct Lock(());

impl Lock {
    pub(super) fn take(_who: &str, _why: &str) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: takes flags only.
        let before = unsafe { SetThreadExecutionState(ES_CONTINUOUS | ES_SYSTEM_REQUIRED) };
        if before == 0 { Err(io::Error::other("Windows refuses")) } else { Ok(Self(())) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: takes flags only.
        unsafe {
            SetThreadExecutionState(ES_CONTINUOUS);
        }
    }
}
