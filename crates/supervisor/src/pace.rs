//! When a worker may run so that its CPU clock follows its share: a pure decision over the wall clock and the
//! worker's own CPU clock.
//!
//! Deliberately absent: signals, sleeping, the clocks themselves. A closed loop needs no model of the scheduler: what
//! a worker got too much or too little in one period is settled in the next.

use std::time::{Duration, Instant};

/// Long enough that stopping and waking cost nothing, short enough that no fan hears it.
pub(crate) const PERIOD: Duration = Duration::from_millis(50);
/// A slice below this is not worth a wake-up; it is carried over.
const LEAST_RUN: f64 = 0.000_5;
/// The shortest time between two looks at a worker that runs.
const LEAST_WAIT: f64 = 0.001;
/// The most that a worker can owe, in seconds of CPU. What exceeds it is forgiven, or one bad moment of this machine
/// would hold a worker for minutes.
const MOST_OWED: f64 = 1.0;

/// What to do with a worker, and when to look again. `None` in `wake`: only when its share changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) run: bool,
    pub(crate) wake: Option<Instant>,
}

/// One worker's account of CPU time.
#[derive(Debug)]
pub(crate) struct Pace {
    share: f64,
    /// Periods begin at this instant and every [`PERIOD`] from it. Each worker has its own, so that not all of them run at
    /// the same time.
    origin: Instant,
    /// CPU seconds that the share has granted and the worker has not used, as of `at`. Negative when it owes.
    balance: f64,
    at: Instant,
    cpu: Duration,
}

impl Pace {
    /// Worker number `n` at `share`, shifted in phase so that any number of workers spread over the period.
    pub(crate) fn new(n: u64, share: f32, now: Instant) -> Self {
        // Multiples of the golden ratio fill a circle evenly, whatever their number.
        let turn = (n as f64 * 0.618_033_988_749_895).fract();
        let origin = now + PERIOD.mul_f64(turn);
        Self { share: share.into(), origin, balance: 0.0, at: now, cpu: Duration::ZERO }
    }

    pub(crate) fn share(&self) -> f64 {
        self.share
    }

    /// Sets another share from `now` on. The balance begins at zero, so that there is no burst after a pause.
    pub(crate) fn set(&mut self, share: f32, now: Instant, cpu: Duration) {
        *self = Self { share: share.into(), origin: self.origin, balance: 0.0, at: now, cpu };
    }

    /// Settles what happened since the last look, and says what to do until the next.
    pub(crate) fn step(&mut self, now: Instant, cpu: Duration) -> Step {
        if self.share <= 0.0 || self.share >= 1.0 {
            return Step { run: self.share > 0.0, wake: None };
        }
        let granted = self.share * now.saturating_duration_since(self.at).as_secs_f64();
        let used = cpu.saturating_sub(self.cpu).as_secs_f64();
        let one_period = self.share * PERIOD.as_secs_f64();
        self.balance = (self.balance + granted - used).clamp(-MOST_OWED, one_period);
        (self.at, self.cpu) = (now, cpu);

        let end = self.end_of_period(now);
        let left = end.saturating_duration_since(now).as_secs_f64();
        let due = (self.balance + self.share * left).min(left);
        if due < LEAST_RUN {
            return Step { run: false, wake: Some(end) };
        }
        Step { run: true, wake: Some(end.min(now + Duration::from_secs_f64(due.max(LEAST_WAIT)))) }
    }

    fn end_of_period(&self, now: Instant) -> Instant {
        let Some(since) = now.checked_duration_since(self.origin) else { return self.origin };
        let into = Duration::from_nanos((since.as_nanos() % PERIOD.as_nanos()) as u64);
        now + (PERIOD - into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A machine that gives a running worker the processor for `luck` of the time, and acts `late` on every step.
    fn simulate(share: f32, luck: f64, late: Duration, seconds: f64) -> (f64, u32) {
        let start = Instant::now();
        let mut pace = Pace::new(3, share, start);
        let (mut now, mut cpu, mut steps) = (start, 0.0, 0);
        while now < start + Duration::from_secs_f64(seconds) {
            let step = pace.step(now, Duration::from_secs_f64(cpu));
            let wake = step.wake.expect("a share between 0 and 1 is looked after") + late;
            if step.run {
                cpu += luck * wake.duration_since(now).as_secs_f64();
            }
            now = wake;
            steps += 1;
        }
        (cpu / seconds, steps)
    }

    proptest! {
        #[test]
        fn cpu_follows_the_share(share in 0.03f32..0.97, late_us in 0u64..400) {
            let (got, steps) = simulate(share, 1.0, Duration::from_micros(late_us), 20.0);
            prop_assert!((got - f64::from(share)).abs() < 0.003, "share {share} got {got}");
            prop_assert!(steps < 20 * 20 * 4, "{steps} wake-ups in 400 periods");
        }

        #[test]
        fn a_busy_machine_gives_less_and_never_more(share in 0.1f32..0.9, luck in 0.1f64..1.0) {
            let (got, _) = simulate(share, luck, Duration::from_micros(50), 20.0);
            prop_assert!(got < f64::from(share) + 0.003);
            prop_assert!(got > f64::from(share).min(luck) * 0.9 - 0.003, "share {share} luck {luck} got {got}");
        }

        #[test]
        fn after_a_starved_time_the_burst_is_one_period(share in 0.1f32..0.9, idle_s in 1u64..100) {
            let start = Instant::now();
            let mut pace = Pace::new(0, share, start);
            pace.step(start, Duration::ZERO);
            let step = pace.step(start + Duration::from_secs(idle_s), Duration::ZERO);
            prop_assert!(step.run);
            prop_assert!(pace.balance <= f64::from(share) * PERIOD.as_secs_f64() + 1e-9);
        }
    }

    #[test]
    fn held_and_free_workers_are_never_looked_at() {
        let now = Instant::now();
        assert_eq!(Pace::new(1, 0.0, now).step(now, Duration::ZERO), Step { run: false, wake: None });
        assert_eq!(Pace::new(1, 1.0, now).step(now, Duration::ZERO), Step { run: true, wake: None });
    }

    #[test]
    fn a_new_share_forgets_the_debt() {
        let now = Instant::now();
        let mut pace = Pace::new(1, 0.1, now);
        let later = now + Duration::from_secs(1);
        assert!(!pace.step(later, Duration::from_secs(1)).run);
        pace.set(0.5, later, Duration::from_secs(1));
        assert!(pace.step(later, Duration::from_secs(1)).run);
    }
}
