//! Linux: CLOCK_BOOTTIME runs in sleep and CLOCK_MONOTONIC does not.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::Clocks;

pub(super) fn now() -> Clocks {
    Clocks {
        running: duration(clock_gettime(ClockId::Monotonic)),
        boot: duration(clock_gettime(ClockId::Boottime)),
        wall: duration(clock_gettime(ClockId::Realtime)),
    }
}

fn duration(time: Timespec) -> Duration {
    // A clock that was set to before 1970 counts as 1970.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
