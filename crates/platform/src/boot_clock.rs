//! A clock that goes on while the machine sleeps. Leases run out in real time, whether this computer is awake or not;
//! [`std::time::Instant`] stands still in sleep on Linux and macOS.

use std::time::Duration;

/// Time since the machine was started, sleep included. Never goes back, and never jumps when the time of day is set.
///
/// Sources: `CLOCK_BOOTTIME` (Linux), `mach_continuous_time` (macOS), `GetTickCount64` (Windows, in steps of up to
/// 16 ms).
#[must_use]
pub fn now() -> Duration {
    os::now()
}

#[cfg(target_os = "linux")]
mod os {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn now() -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let part = |part: i64| u64::try_from(part).expect("the kernel counts up from 0");
        Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
    }
}

/// Compiled, and not run yet.
#[cfg(target_os = "macos")]
mod os {
    use std::sync::OnceLock;
    use std::time::Duration;

    #[repr(C)]
    struct Timebase {
        numerator: u32,
        denominator: u32,
    }

    #[expect(unsafe_code, reason = "calls of the system that libc does not declare")]
    // SAFETY: declared as in <mach/mach_time.h>.
    unsafe extern "C" {
        safe fn mach_continuous_time() -> u64;
        fn mach_timebase_info(timebase: *mut Timebase) -> i32;
    }

    pub(super) fn now() -> Duration {
        static TIMEBASE: OnceLock<(u128, u128)> = OnceLock::new();
        let (numerator, denominator) = TIMEBASE.get_or_init(|| {
            let mut timebase = Timebase { numerator: 1, denominator: 1 };
            #[expect(unsafe_code, reason = "a call of the system")]
            // SAFETY: `timebase` is valid for the call, which never fails.
            unsafe {
                mach_timebase_info(&raw mut timebase);
            }
            (timebase.numerator.into(), timebase.denominator.max(1).into())
        });
        let nanoseconds = u128::from(mach_continuous_time()) * numerator / denominator;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// Compiled, and not run yet.
#[cfg(windows)]
mod os {
    use std::time::Duration;

    use windows_sys::Win32::System::SystemInformation::GetTickCount64;

    pub(super) fn now() -> Duration {
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: takes nothing.
        let milliseconds = unsafe { GetTickCount64() };
        Duration::from_millis(milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_runs_at_least_as_fast_as_the_clock_that_stands_still_in_sleep() {
        let (before, started) = (now(), Instant::now());
        while started.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let awake = started.elapsed();
        // Windows counts in steps.
        assert!(now() - before + Duration::from_millis(20) >= awake);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_the_time_since_the_machine_was_started() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        // The file has hundredths of a second, and was read before.
        assert!(now().as_secs_f64() >= uptime - 0.01);
        assert!(now().as_secs_f64() < uptime + 60.0);
    }
}
