use super::*;
use crate::gate::{Allowance, NewWork};
use crate::schedule::Schedule;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn limits() -> Limits {
    Limits {
        idle_after: Duration::from_secs(180),
        away: Allowance { workers: 4, share: 1.0 },
        in_use: None,
        battery: None,
        battery_min_percent: 50,
        schedule: Schedule::default(),
        pause_for: BTreeSet::new(),
        ignored_programs: BTreeSet::new(),
        excluded_programs: BTreeSet::new(),
        other_load: None,
        target_celsius: 75.0,
        blind_share: 0.5,
        gentle: true,
        leave_free: 0,
        task_memory: 1 << 30,
        use_metered: false,
    }
}

const FULL: Budget = Budget { workers: 4, share: 1.0, new_work: NewWork::Fetched };

/// A governor in virtual time.
struct Ride {
    limits: Limits,
    memory: Governor,
    now: Instant,
    thermal: Thermal,
}

impl Ride {
    fn new(celsius: Option<f32>) -> Self {
        let thermal = Thermal { celsius, critical: None, frequency: None };
        Self { limits: limits(), memory: Governor::default(), now: Instant::now(), thermal }
    }

    /// One second with `budget`; the part of the budget's cores that is used.
    fn second(&mut self, budget: Option<Budget>) -> f32 {
        self.step(budget, Duration::from_secs(1))
    }

    fn step(&mut self, budget: Option<Budget>, time: Duration) -> f32 {
        self.now += time;
        let memory = std::mem::take(&mut self.memory);
        let (drive, memory) = govern(&self.limits, budget, &self.thermal, memory, self.now);
        self.memory = memory;
        drive.budget.map_or(0.0, |it| it.share * it.workers as f32 / 4.0)
    }

    fn lowered(&self) -> Option<ReasonCode> {
        let (drive, _) = govern(&self.limits, Some(FULL), &self.thermal, self.memory.clone(), self.now);
        drive.lowered.map(|reason| reason.code)
    }
}

#[test]
fn a_cool_machine_is_at_full_load_after_a_hundred_seconds_and_begins_again_after_a_hold() {
    let mut ride = Ride::new(Some(40.0));
    assert!((ride.second(Some(FULL)) - 0.1).abs() < 0.011);
    let levels: Vec<_> = (0..100).map(|_| ride.second(Some(FULL))).collect();
    assert!(levels.windows(2).all(|pair| pair[1] >= pair[0] - 0.01), "{levels:?}");
    assert_eq!(levels[99], 1.0);
    assert_eq!(ride.second(None), 0.0);
    assert!(ride.second(Some(FULL)) < 0.11);
}

#[test]
fn a_hasty_owner_gets_it_at_once_while_it_is_cool() {
    let mut ride = Ride::new(Some(40.0));
    ride.limits.gentle = false;
    assert_eq!(ride.second(Some(FULL)), 1.0);
    ride.thermal.celsius = Some(80.0);
    assert!(ride.second(Some(FULL)) < 0.7);
    ride.thermal.celsius = Some(40.0);
    assert!(ride.second(Some(FULL)) < 0.7, "once it was warm it rises slowly");
}

#[test]
fn heat_halves_it_within_two_seconds() {
    let mut ride = Ride::new(Some(40.0));
    for _ in 0..120 {
        ride.second(Some(FULL));
    }
    ride.thermal.celsius = Some(81.0);
    ride.second(Some(FULL));
    assert!(ride.second(Some(FULL)) <= 0.5);
    assert_eq!(ride.lowered(), Some(ReasonCode::Warm));
}

#[test]
fn the_hardwares_own_limit_lowers_the_target() {
    let thermal = Thermal { celsius: None, critical: Some(90.0), frequency: None };
    assert_eq!(target(75.0, &thermal), 70.0);
    assert_eq!(target(75.0, &Thermal { critical: Some(105.0), ..thermal }), 75.0);
}

#[test]
fn without_a_sensor_it_is_capped_and_says_so() {
    let mut ride = Ride::new(None);
    let highest = (0..300).map(|_| ride.second(Some(FULL))).fold(0.0, f32::max);
    assert_eq!(highest, 0.5);
    assert_eq!(ride.lowered(), Some(ReasonCode::NoTemperature));
}

#[test]
fn without_a_sensor_a_falling_frequency_halves_it_and_it_rests() {
    let mut ride = Ride::new(None);
    ride.thermal.frequency = Some(0.95);
    for _ in 0..120 {
        ride.second(Some(FULL));
    }
    ride.thermal.frequency = Some(0.6);
    let after: Vec<_> = (0..60).map(|_| ride.second(Some(FULL))).collect();
    assert!(after[5] <= 0.26, "{after:?}");
    assert!(after.iter().skip(6).all(|level| *level <= 0.26), "it does not rise for a minute: {after:?}");
    // Less load is less frequency on many machines: that alone must not take it down further.
    let later: Vec<_> = (0..120).map(|_| ride.second(Some(FULL))).collect();
    assert!(later[119] > 0.4, "{later:?}");
}

#[test]
fn a_frequency_that_jumps_is_no_heat() {
    let mut ride = Ride::new(None);
    for second in 0..300 {
        ride.thermal.frequency = Some(if second % 3 == 0 { 0.6 } else { 1.0 });
        ride.second(Some(FULL));
    }
    assert!(ride.second(Some(FULL)) > 0.2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever the sensor tells and however often the gate opens and closes.
    #[test]
    fn it_never_rises_by_more_than_ten_points_in_ten_seconds_nor_leaves_its_budget(
        story in prop::collection::vec((1u64..60, prop::option::weighted(0.8, 0.02f32..=1.0), prop::option::weighted(0.9, 20f32..100.0)), 1..30),
        frequency in prop::option::of(0.1f32..1.0),
        period in 100u64..2_000,
    ) {
        let mut ride = Ride::new(None);
        ride.thermal.frequency = frequency;
        let mut past: Vec<(Instant, f32)> = Vec::new();
        for (seconds, share, celsius) in story {
            ride.thermal.celsius = celsius;
            let budget = share.map(|share| Budget { share, ..FULL });
            for _ in 0..(seconds * 1000 / period).max(1) {
                let level = ride.step(budget, Duration::from_millis(period));
                let most = share.unwrap_or(0.0).min(if celsius.is_none() { 0.5 } else { 1.0 });
                prop_assert!(level <= most + 0.001 || (level <= 0.011 && most > 0.0), "{} of {}", level, most);
                past.retain(|(at, _)| ride.now - *at <= Duration::from_secs(10));
                let lowest = past.iter().map(|(_, level)| *level).fold(level, f32::min);
                // Whole points are shown, so that one more may be seen.
                prop_assert!(level - lowest <= STEP + 0.0201, "{} to {} in ten seconds", lowest, level);
                past.push((ride.now, level));
            }
        }
    }
}
