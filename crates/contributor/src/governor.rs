//! How hard it runs within its budget, so that nobody hears or feels it: fast down, slow up.
//!
//! Deliberately absent: sensors, the clock, workers, and whether it may run at all, which is the [gate](crate::gate)'s.
//! One level from 0 to 1 follows the temperature; how many workers it is spread over is decided from it.

mod blind;
mod cores;
mod heat;

use std::time::{Duration, Instant};

use surge_platform::conditions::Thermal;

use crate::gate::{Budget, Limits, target};
use crate::view::{Reason, ReasonCode, Unit};

/// The first step from nothing, and what may be added in any ten seconds from then on.
pub const STEP: f32 = 0.1;
/// How long the first step lasts.
const FIRST_STEP: Duration = Duration::from_secs(10);
/// Added a second, at most.
const RISE: f32 = STEP / 10.0;
/// Below this it does not go by itself: the gate's hard stop comes next.
const LEAST: f32 = 0.05;
/// Time that passed unseen does not count for more than this.
const LONGEST_STEP: f32 = 2.0;

/// What the governor remembers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Governor {
    /// Since when it runs, when it looked last, and the level that it has reached. `None` while held.
    run: Option<Run>,
    heat: heat::Smooth,
    blind: blind::Blind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    since: Instant,
    at: Instant,
    /// Share of one core for each worker of the budget, 0 to 1.
    level: f32,
    /// The target was near once: from then on even a hasty owner's load rises slowly.
    warmed: bool,
    workers: u32,
}

/// How hard work runs now, and why not harder.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// `None` while held.
    pub budget: Option<Budget>,
    /// The temperature or the lack of a sensor that lowers the load.
    pub lowered: Option<Reason>,
}

/// Follows `budget` (`None` while held) and the temperature at `now`.
#[must_use]
pub fn govern(
    limits: &Limits,
    budget: Option<Budget>,
    thermal: &Thermal,
    memory: Governor,
    now: Instant,
) -> (Drive, Governor) {
    let mut memory = memory;
    let heat = memory.heat.follow(thermal.celsius, now);
    let Some(budget) = budget else {
        memory.run = None;
        memory.blind = blind::Blind::default();
        return (Drive { budget: None, lowered: None }, memory);
    };
    let blind = thermal.celsius.is_none();
    let cap = if blind { budget.share.min(limits.blind_share) } else { budget.share };
    let target = target(limits.target_celsius, thermal);
    let first = if limits.gentle { STEP } else { 1.0 };
    let begin = Run { since: now, at: now, level: first.min(cap), warmed: false, workers: 0 };
    let mut run = memory.run.unwrap_or(begin);
    let passed = now.saturating_duration_since(run.at).as_secs_f32().min(LONGEST_STEP);
    run.at = now;
    let pull = match heat {
        Some(heat) => heat.pull(target),
        None => memory.blind.pull(thermal.frequency, now),
    };
    run.warmed |= pull.cut > 0.0 || pull.rise < 1.0;
    let slow = limits.gentle || run.warmed;
    let waits = slow && now.saturating_duration_since(run.since) < FIRST_STEP && run.level >= first.min(cap);
    if pull.cut > 0.0 {
        run.level = (run.level * (1.0 - (pull.cut * passed).min(0.75))).max(LEAST.min(run.level));
    } else if !waits {
        let rise = if slow { RISE * passed } else { 1.0 };
        run.level += rise * pull.rise;
    }
    run.level = run.level.min(cap);
    let (workers, share) = cores::spread(run.level, budget.workers, run.workers);
    run.workers = workers;
    let share = whole_points(share);
    memory.run = Some(run);
    let lowered = lowered(limits, budget.share, run.level, thermal, target);
    (Drive { budget: Some(Budget { workers, share, ..budget }), lowered }, memory)
}

/// A share in whole points: what is less than one would only wake everybody who follows it.
fn whole_points(share: f32) -> f32 {
    // The small part makes up for what binary fractions lack.
    (share * 100.0 + 0.01).floor().max(1.0) / 100.0
}

/// Says so when the temperature, or the lack of one, keeps the level down; a rise under way is not worth a word.
fn lowered(limits: &Limits, wanted: f32, level: f32, thermal: &Thermal, target: f32) -> Option<Reason> {
    let percent = |share: f32| (share * 100.0).round() as i64;
    match thermal.celsius {
        None if limits.blind_share < wanted => {
            let most = percent(limits.blind_share);
            let reason = Reason::new(ReasonCode::NoTemperature);
            Some(reason.measured(percent(level), most, Unit::Percent).set_by("no_sensor_cpu_percent"))
        }
        Some(celsius) if level < wanted && celsius > target - heat::BAND - 1.0 => {
            let (now, most) = (celsius.round() as i64, target.round() as i64);
            Some(Reason::new(ReasonCode::Warm).measured(now, most, Unit::Celsius).set_by("target_celsius"))
        }
        None | Some(_) => None,
    }
}

/// Which way the level is pulled.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pull {
    /// Part of the level to take away a second.
    cut: f32,
    /// Part of the full rise that is allowed.
    rise: f32,
}

#[cfg(test)]
mod tests;
