//! The clocks, read in one place.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

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
    let boot = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(boot.tv_sec).unwrap_or(0), u32::try_from(boot.tv_nsec).unwrap_or(0));
    Clocks { wall: unix_now(), boot: Duration::new(seconds, nanos), boot_id }
}
