//! Whether something happened after which no older reading counts: the machine slept, or its clock was set.
//!
//! Two readings of three clocks tell. Deliberately absent: what it means for work.

use std::time::Duration;

use crate::conditions::Disturbance;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

/// Sleep that lasts less is over before anything could have changed; reading three clocks takes far less.
const SLEPT: Duration = Duration::from_millis(500);
/// A correction of the clock that is no larger harms nothing.
const JUMPED: Duration = Duration::from_secs(2);
/// A timer that is later than this did not run on a machine that ran: a virtual machine that was frozen, a process
/// that was stopped.
const LATE: Duration = Duration::from_secs(5);

/// The system's clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// Runs while the machine does.
    running: Duration,
    /// Runs while it sleeps, too.
    boot: Duration,
    /// The time of day, since 1970.
    wall: Duration,
}

impl Clocks {
    pub(crate) fn now() -> Self {
        os::now()
    }

    /// What happened between `self` and `after`, which was to come `expected` later at the latest.
    pub(crate) fn disturbed_by(&self, after: &Self, expected: Duration) -> Option<Disturbance> {
        let running = after.running.saturating_sub(self.running);
        let boot = after.boot.saturating_sub(self.boot);
        if boot.saturating_sub(running) > SLEPT || running > expected + LATE {
            return Some(Disturbance::Woke);
        }
        let wall = after.wall.checked_sub(self.wall);
        let jumped = wall.is_none_or(|wall| wall.abs_diff(boot) > JUMPED);
        jumped.then_some(Disturbance::ClockJumped)
    }
}

/// How long the machine has slept since its start; 0 where the system does not tell.
#[must_use]
pub fn asleep_so_far() -> Duration {
    let Clocks { running, boot, .. } = Clocks::now();
    boot.saturating_sub(running)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Duration = Duration::from_secs(10);

    /// What three clocks say after `running`, `boot` and `wall` milliseconds.
    fn after(running: u64, boot: u64, wall: i64) -> Option<Disturbance> {
        let ms = Duration::from_millis;
        let before = Clocks { running: ms(1_000), boot: ms(50_000), wall: ms(1_700_000_000_000) };
        let later = Clocks {
            running: before.running + ms(running),
            boot: before.boot + ms(boot),
            wall: ms(1_700_000_000_000_u64.saturating_add_signed(wall)),
        };
        before.disturbed_by(&later, EXPECTED)
    }

    #[test]
    fn sleep_is_time_in_which_one_clock_stood_still() {
        assert_eq!(after(10_000, 10_000, 10_000), None);
        assert_eq!(after(10_000, 10_400, 10_400), None);
        assert_eq!(after(10_000, 3_610_000, 3_610_000), Some(Disturbance::Woke));
        assert_eq!(after(10_000, 3_610_000, -5_000), Some(Disturbance::Woke), "the clock was set on waking as well");
    }

    #[test]
    fn a_clock_that_was_set_has_jumped() {
        assert_eq!(after(10_000, 10_000, 11_900), None, "small corrections are no jump");
        assert_eq!(after(10_000, 10_000, 3_610_000), Some(Disturbance::ClockJumped));
        assert_eq!(after(10_000, 10_000, -3_600_000), Some(Disturbance::ClockJumped));
        assert_eq!(after(10_000, 10_000, 7_000), Some(Disturbance::ClockJumped));
    }

    #[test]
    fn a_timer_that_was_late_slept() {
        assert_eq!(after(14_900, 14_900, 14_900), None);
        assert_eq!(after(15_100, 15_100, 15_100), Some(Disturbance::Woke));
    }

    #[test]
    fn the_systems_clocks_agree_with_each_other() {
        let before = Clocks::now();
        assert_eq!(before.disturbed_by(&Clocks::now(), EXPECTED), None);
    }
}
