//! How long a worker was free to run: a stopwatch that stands while the worker is suspended.
//!
//! Deliberately absent: the clock. The caller's is the system's monotonic one, which stands still while the machine sleeps,
//! and with it this.

use std::time::{Duration, Instant};

/// Of its CPU time limit, what a worker may take where nothing else is said: less than a tenth of a processor over all
/// that time means that this machine has none to spare.
const TIMES_CPU: u32 = 10;
/// And at least so much: on a machine that is busy for a moment nothing is lost.
const LEAST: Duration = Duration::from_secs(3_600);

/// The limit where none is given, for a task that may use `cpu`.
pub(crate) fn usual(cpu: Duration) -> Duration {
    cpu.saturating_mul(TIMES_CPU).max(LEAST)
}

/// One worker's account of the time in which nothing of ours kept it from running.
#[derive(Debug)]
pub(crate) struct Wall {
    limit: Duration,
    /// Before `since`.
    used: Duration,
    /// When it was last let run; `None` while it is suspended.
    since: Option<Instant>,
}

impl Wall {
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
        let mut wall = Wall::new(10 * SECOND, start);
        let mut now = start + 4 * SECOND;
        assert_eq!((wall.used(now), wall.due(now)), (4 * SECOND, Some(start + 10 * SECOND)));
        wall.suspended(now);
        // A night under somebody else's hands.
        now += 40_000 * SECOND;
        assert_eq!((wall.used(now), wall.due(now), wall.exhausted(now)), (4 * SECOND, None, false));
        wall.suspended(now);
        wall.resumed(now);
        wall.resumed(now + SECOND);
        assert_eq!(wall.due(now + SECOND), Some(now + 6 * SECOND), "resuming twice resumes once");
        assert!(!wall.exhausted(now + 6 * SECOND - Duration::from_nanos(1)));
        assert!(wall.exhausted(now + 6 * SECOND));
    }

    #[test]
    fn slices_add_up() {
        let start = Instant::now();
        let mut wall = Wall::new(SECOND, start);
        wall.suspended(start);
        for period in 0..100 {
            let begin = start + period * Duration::from_millis(50);
            assert!(!wall.exhausted(begin));
            wall.resumed(begin);
            wall.suspended(begin + Duration::from_millis(10));
        }
        assert!(wall.exhausted(start + 100 * SECOND));
        assert_eq!(wall.used(start + 100 * SECOND), SECOND);
    }

    #[test]
    fn the_usual_limit_leaves_a_busy_machine_its_time() {
        assert_eq!(usual(Duration::from_millis(1)), Duration::from_secs(3_600));
        assert_eq!(usual(Duration::from_secs(600)), Duration::from_secs(6_000));
        let wall = Wall::new(usual(Duration::MAX), Instant::now());
        assert_eq!(wall.due(Instant::now()), None, "further off than any clock goes");
    }
}
