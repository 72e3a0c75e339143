//! The governor against every cooling from a thin laptop to a water-cooled tower: how far above its target does the
//! processor get, and how much of what it could do does it do?

use std::time::{Duration, Instant};

use surge_contributor::gate::{Budget, NewWork};
use surge_contributor::governor::{Governor, govern};
use surge_contributor::settings::{Machine, Settings};
use surge_platform::conditions::Thermal;

use crate::model::{Cooling, Warmth};
use crate::plot::{Plot, checked_in};

const LAPTOP: Machine = Machine { cores: 8, memory_bytes: 16 << 30, portable: true };
const HOUR: u32 = 3600;

/// The most that any processor of the sweep gets above its target, °C, rounded up. The sweep has sensors that are 10 s
/// late, in rooms of 35 °C, on machines that would reach 135 °C at full load.
const WORST_OVERSHOOT: f64 = 1.5;
/// Of the load that would just keep the target, in the second half hour.
const LEAST_USE: f64 = 0.9;

/// An hour at full budget.
struct Ride {
    target: f64,
    /// Temperature and level in each second.
    seconds: Vec<(f64, f64)>,
}

fn ride(cooling: Cooling, read_every: u32, hours: u32, change: impl Fn(u32, &mut Warmth)) -> Ride {
    let limits = Settings::default().limits(&LAPTOP);
    let budget = Budget { workers: limits.away.workers, share: 1.0, new_work: NewWork::Fetched };
    let (mut warmth, mut memory, begun) = (Warmth::new(cooling), Governor::default(), Instant::now());
    let (mut told, mut seconds) = (warmth.told(), Vec::new());
    for second in 0..hours * HOUR {
        change(second, &mut warmth);
        if second % read_every == 0 {
            told = warmth.told();
        }
        let thermal = Thermal { celsius: Some(told), critical: None, frequency: None };
        let (drive, after) =
            govern(&limits, Some(budget), &thermal, memory, begun + Duration::from_secs(second.into()));
        memory = after;
        let driven = drive.budget.expect("the gate is open");
        let level = f64::from(driven.share) * f64::from(driven.workers) / f64::from(budget.workers);
        warmth.second(level);
        seconds.push((warmth.celsius(), level));
    }
    Ride { target: limits.target_celsius.into(), seconds }
}

impl Ride {
    fn overshoot(&self) -> f64 {
        self.seconds.iter().map(|(celsius, _)| celsius - self.target).fold(f64::MIN, f64::max)
    }

    fn mean_level(&self, seconds: std::ops::Range<usize>) -> f64 {
        let part = &self.seconds[seconds];
        part.iter().map(|(_, level)| level).sum::<f64>() / part.len() as f64
    }
}

fn sweep() -> impl Iterator<Item = (Cooling, u32)> {
    let mut all = Vec::new();
    for full in [30.0, 55.0, 80.0, 100.0] {
        for seconds in [8.0, 30.0, 120.0, 500.0] {
            for quick in [0.1, 0.35, 0.6] {
                for lag in [0.0, 3.0, 10.0] {
                    for (step, read_every) in [(1.0, 2), (0.125, 1)] {
                        for room in [18.0, 35.0] {
                            all.push((Cooling { full, quick, seconds, lag, step, room }, read_every));
                        }
                    }
                }
            }
        }
    }
    all.into_iter()
}

#[test]
fn no_computer_gets_far_above_its_target_and_none_is_left_idle() {
    let (mut worst, mut least) = ((f64::MIN, None), (f64::MAX, None));
    for (cooling, read_every) in sweep() {
        let ride = ride(cooling, read_every, 1, |_, _| {});
        if ride.overshoot() > worst.0 {
            worst = (ride.overshoot(), Some((cooling, read_every)));
        }
        let sustainable = ((ride.target - cooling.room) / cooling.full).min(1.0);
        let used = ride.mean_level(1800..3600) / sustainable;
        if used < least.0 {
            least = (used, Some((cooling, read_every)));
        }
    }
    assert!(worst.0 <= WORST_OVERSHOOT, "{worst:?}");
    assert!(least.0 >= LEAST_USE, "{least:?}");
    println!("worst overshoot {worst:?}\nleast use {least:?}");
}

#[test]
fn a_room_that_gets_hot_is_followed_within_a_minute() {
    let cooling = Cooling { full: 70.0, quick: 0.35, seconds: 60.0, lag: 3.0, step: 1.0, room: 22.0 };
    let ride = ride(cooling, 2, 1, |second, warmth| {
        if second == 1800 {
            warmth.set_room(40.0);
        }
    });
    let over = |seconds: std::ops::Range<usize>| {
        ride.seconds[seconds].iter().map(|(celsius, _)| celsius - ride.target).fold(f64::MIN, f64::max)
    };
    assert!(over(1860..3600) <= 1.0, "{}", over(1860..3600));
}

#[test]
fn the_plot_of_three_computers_is_what_the_governor_does() {
    let laptop = Cooling { full: 80.0, quick: 0.4, seconds: 40.0, lag: 3.0, step: 1.0, room: 24.0 };
    let office = Cooling { full: 60.0, quick: 0.35, seconds: 150.0, lag: 3.0, step: 1.0, room: 24.0 };
    let tower = Cooling { full: 38.0, quick: 0.3, seconds: 500.0, lag: 3.0, step: 1.0, room: 24.0 };
    let mut plot = Plot::new("Load and temperature from a cold start", 0.0..1200.0, "minutes", 60.0, 5);
    let (load, heat) = (plot.panel("load, %", 0.0..100.0, &[]), plot.panel("processor, °C", 20.0..90.0, &[75.0]));
    for (name, cooling) in [("thin laptop", laptop), ("office PC", office), ("tower", tower)] {
        let ride = ride(cooling, 2, 1, |_, _| {});
        let shown = ride.seconds.iter().take(1200).enumerate();
        plot.line(load, name, shown.clone().map(|(at, (_, level))| (at as f64, level * 100.0)));
        plot.line(heat, name, shown.map(|(at, (celsius, _))| (at as f64, *celsius)));
    }
    checked_in("governor.svg", &plot.svg());
}
