//! Where this machine's power comes from.
//!
//! Deliberately absent: what a battery's charge allows. A charger that doesn't keep up is a battery.

use std::time::Instant;

use crate::conditions::{Power, Reading};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "windows")]
#[expect(unsafe_code, reason = "the call has no safe form")]
mod windows;
#[cfg(target_os = "windows")]
use windows as os;
#[cfg(not(any(target_os = "linux", target_os = "windows")))]
mod portable;
#[cfg(not(any(target_os = "linux", target_os = "windows")))]
use portable as os;

/// The power as it is now.
#[must_use]
pub(crate) fn read() -> Reading<Power> {
    Reading::new(os::read(), os::SOURCE, Instant::now())
}
