//! Wakes whoever waits when the time of day is set and when the machine wakes from sleep, so that nobody has to look at
//! the clocks.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

pub(crate) use os::Alarm;
