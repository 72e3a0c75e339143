//! The clocks, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use surge_platform::boot_clock;

use crate::wish::Clocks;

/// Unix seconds now; 0 on a clock set before 1970.
#[must_use]
pub fn unix_now() -> u64 {
    unix_now_ms() / 1_000
}

/// Unix milliseconds now; 0 on a clock set before 1970.
#[must_use]
pub fn unix_now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Which start of the computer this is; 0 where the system does not tell, so that all its starts look like one.
pub(crate) fn boot_id() -> u128 {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    u128::from_str_radix(&id.trim().replace('-', ""), 16).unwrap_or(0)
}

/// All clocks now. Reads no file.
pub(crate) fn clocks(boot_id: u128) -> Clocks {
    Clocks { wall: unix_now(), boot: boot_clock::now(), boot_id }
}
