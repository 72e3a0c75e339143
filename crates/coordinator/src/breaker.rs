//! Keeps a module from a node that keeps failing at it, for a time.
//!
//! Failures (the host could not finish) count in a row; faults (a replay proved the result wrong) count for good, so
//! that a node that is wrong every other time gets no further. The first fault has no consequence: memory goes bad.

use crate::clock::Millis;

/// The breaker of one node and one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    failures: u32,
    faults: u32,
    open_until: Millis,
}

/// How many it takes, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Fuse {
    pub after: u32,
    pub hold: Millis,
}

impl Breaker {
    /// The breaker after a restart: `faults` so far, the newest at `at`.
    #[must_use]
    pub fn recovered(faults: u32, at: Millis, fuse: Fuse) -> Self {
        let open_until = if faults >= fuse.after { at.saturating_add(fuse.hold) } else { 0 };
        Self { failures: 0, faults, open_until }
    }

    #[must_use]
    pub const fn is_open(self, now: Millis) -> bool {
        now < self.open_until
    }

    pub const fn accepted(&mut self) {
        self.failures = 0;
    }

    /// After a hold one more failure opens it again; a success starts the count afresh.
    pub fn failed(&mut self, now: Millis, fuse: Fuse) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= fuse.after {
            self.open_until = now.saturating_add(fuse.hold);
        }
    }

    pub fn fault(&mut self, now: Millis, fuse: Fuse) {
        self.faults = self.faults.saturating_add(1);
        if self.faults >= fuse.after {
            self.open_until = now.saturating_add(fuse.hold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUSE: Fuse = Fuse { after: 3, hold: 100 };

    #[test]
    fn three_failures_in_a_row_open_it_for_a_time_and_a_success_between_does_not_count() {
        let mut breaker = Breaker::default();
        breaker.failed(0, FUSE);
        breaker.failed(0, FUSE);
        breaker.accepted();
        breaker.failed(0, FUSE);
        breaker.failed(0, FUSE);
        assert!(!breaker.is_open(0));
        breaker.failed(10, FUSE);
        assert!(breaker.is_open(109));
        assert!(!breaker.is_open(110));
        breaker.failed(110, FUSE);
        assert!(breaker.is_open(111), "one more failure after the hold opens it again");
    }

    #[test]
    fn faults_are_not_forgotten_by_good_results() {
        let mut breaker = Breaker::default();
        for now in [0, 1] {
            breaker.fault(now, FUSE);
            breaker.accepted();
        }
        assert!(!breaker.is_open(1), "the first faults have no consequence");
        breaker.fault(2, FUSE);
        assert!(breaker.is_open(101));
        assert_eq!(Breaker::recovered(3, 2, FUSE).open_until, breaker.open_until);
    }
}
