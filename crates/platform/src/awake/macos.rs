//! macOS: a power assertion against sleep for idleness. Compiled, and not run yet.

use std::io;

use objc2_core_foundation::CFString;
use objc2_io_kit::{IOPMAssertionCreateWithName, IOPMAssertionID, IOPMAssertionRelease, kIOPMAssertionLevelOn};

/// `kIOPMAssertPreventUserIdleSystemSleep`, a macro of the C headers.
const NO_IDLE_SLEEP: &str = "PreventUserIdleSystemSleep";

#[derive(Debug)]
pub(super) struct Lock(IOPMAssertionID);

impl Lock {
    pub(super) fn take(who: &str, why: &str) -> io::Result<Self> {
        let kind = CFString::from_static_str(NO_IDLE_SLEEP);
        let name = CFString::from_str(&format!("{who}: {why}"));
        let mut id = 0;
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: both strings live through the call, and `id` is valid for it.
        let answer =
            unsafe { IOPMAssertionCreateWithName(Some(&kind), kIOPMAssertionLevelOn, Some(&name), &raw mut id) };
        if answer == 0 { Ok(Self(id)) } else { Err(io::Error::other(format!("macOS refuses: {answer:#x}"))) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        IOPMAssertionRelease(self.0);
    }
}
