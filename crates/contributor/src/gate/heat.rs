//! The hard stop: far above the temperature that the governor keeps, nothing runs until it is cool again.

use std::time::{Duration, Instant};

use surge_platform::conditions::Thermal;

use super::Situation;
use super::latch::{Delays, Held, Latch};
use super::presence::seconds;
use crate::view::{Case, Reason, ReasonCode, Unit};

/// Above the target by so much it stops, °C.
const STOP_ABOVE: f32 = 10.0;
/// Below the target by so much, for a minute, it starts again.
const START_BELOW: f32 = 8.0;
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(60) };
/// Distances from the hardware's own limit that target and stop keep, °C.
const TARGET_MARGIN: f32 = 20.0;
const STOP_MARGIN: f32 = 8.0;
/// When a sensor goes away while the processor is hot, the processor counts as hot for this long.
const BLIND: Duration = Duration::from_secs(300);

/// Whether it was too hot, and when that was read last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct LastHeat {
    latch: Latch,
    read_at: Option<Instant>,
}

/// The temperature to keep, °C: the owner's, or less where the hardware's own limit is near.
#[must_use]
pub fn target(wanted: f32, thermal: &Thermal) -> f32 {
    thermal.critical.map_or(wanted, |critical| wanted.min(critical - TARGET_MARGIN))
}

/// The temperature from which on nothing runs, °C.
pub(crate) fn stop(wanted: f32, thermal: &Thermal) -> f32 {
    let stop = target(wanted, thermal) + STOP_ABOVE;
    thermal.critical.map_or(stop, |critical| stop.min(critical - STOP_MARGIN))
}

pub(super) fn rule(look: &Situation<'_>, memory: &mut LastHeat) -> Option<Reason> {
    let thermal = &look.conditions.thermal.value;
    let wanted = look.limits.target_celsius;
    let start = target(wanted, thermal) - START_BELOW;
    let hot = match thermal.celsius {
        Some(celsius) => {
            memory.read_at = Some(look.now.at);
            if memory.latch.held() { celsius > start } else { celsius >= stop(wanted, thermal) }
        }
        None => memory.latch.held() && memory.read_at.is_some_and(|at| look.now.at < at + BLIND),
    };
    let held = memory.latch.step(hot, DELAYS, look.now.at)?;
    let reason = Reason::new(ReasonCode::Hot).set_by("target_celsius");
    Some(match (held, thermal.celsius) {
        (Held::Lately { ago, until }, _) => {
            let reason = reason.case(Case::Ended).measured(seconds(ago), seconds(DELAYS.start), Unit::Seconds);
            reason.until(look.now.unix_at(until))
        }
        (Held::Now, Some(celsius)) => reason.measured(celsius.round() as i64, start.round() as i64, Unit::Celsius),
        (Held::Now, None) => reason.case(Case::SensorGone).until(memory.read_at.map(|at| look.now.unix_at(at + BLIND))),
    })
}
