//! How long a worker was free to run: a stopwatch that stands while the worker is suspended.
//!
//! Deliberately absent: reading the time. The caller passes instants of the system's monotonic clock, which stands still
//! while the machine sleeps.

use std::time::{Duration, Instant};

/// The usual limit as a multiple of the CPU time limit: a worker that gets less than a tenth of a processor for so long is on
/// a machine that has none to spare.
const TIMES_CPU: u32 = 10;
/// The least usual limit, so that a machine which is busy for a moment ends no short task.
const LEAST: Duration = Duration::from_secs(3_600);

/// The limit for a task that may use `cpu`, where its owner set none.
pub(crate) fn usual(cpu: Duration) -> Duration {
    cpu.saturating_mul(TIMES_CPU).max(LEAST)
}

/// The time for which one worker was not suspended by its supervisor.
#[derive(Debug)]
pub(crate) struct RunnableClock {
    limit: Duration,
    /// Before `since`.
    used: Duration,
    /// When it was last let run; `None` while it is suspended.
    since: Option<Instant>,
}

impl RunnableClock {
    /// For a worker that runs from `now` on.
    pub(crate) const fn new(limit: Duration, now: Instant) -> Self {
        Self { limit, used: Duration::ZERO, since: Some(now) }
    }

    pub(crate) fn resumed(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(crate) fn suspended(&mut self, now: Instant) {
        self.used = self.used(now);
        self.since = None;
    }

    pub(crate) fn used(&self, now: Instant) -> Duration {
        self.used + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(crate) fn exhausted(&self, now: Instant) -> bool {
        self.used(now) >= self.limit
    }

    /// The earliest instant at which it can be exhausted; `None` while it is suspended, or where that is never.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        self.since.and_then(|_| now.checked_add(self.limit.saturating_sub(self.used(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_time_in_which_it_may_run_counts() {
        let start = Instant::now();
        let mut clock = RunnableClock::new(10 * SECOND, start);
        let mut now = start + 4 * SECOND;
        assert_eq!((clock.used(now), clock.due(now)), (4 * SECOND, Some(start + 10 * SECOND)));
        clock.suspended(now);
        // A night under somebody else's hands.
        now += 40_000 * SECOND;
        assert_eq!((clock.used(now), clock.due(now), clock.exhausted(now)), (4 * SECOND, None, false));
        clock.suspended(now);
        clock.resumed(now);
        clock.resumed(now + SECOND);
        assert_eq!(clock.due(now + SECOND), Some(now + 6 * SECOND), "resuming twice resumes once");
        assert!(!clock.exhausted(now + 6 * SECOND - Duration::from_nanos(1)));
        assert!(clock.exhausted(now + 6 * SECOND));
    }

    #[test]
    fn slices_add_up() {
        let start = Instant::now();
        let mut clock = RunnableClock::new(SECOND, start);
        clock.suspended(start);
        for period in 0..100 {
            let begin = start + period * Duration::from_millis(50);
            assert!(!clock.exhausted(begin));
            clock.resumed(begin);
            clock.suspended(begin + Duration::from_millis(10));
        }
        assert!(clock.exhausted(start + 100 * SECOND));
        assert_eq!(clock.used(start + 100 * SECOND), SECOND);
    }

    #[test]
    fn the_usual_limit_leaves_a_busy_machine_its_time() {
        assert_eq!(usual(Duration::from_millis(1)), Duration::from_secs(3_600));
        assert_eq!(usual(Duration::from_secs(600)), Duration::from_secs(6_000));
        let clock = RunnableClock::new(usual(Duration::MAX), Instant::now());
        assert_eq!(clock.due(Instant::now()), None, "further off than any clock goes");
    }
}
