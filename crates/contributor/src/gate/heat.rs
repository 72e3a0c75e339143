//! The hard stop: far above the temperature that the governor keeps, nothing runs until it is cool again.

use std::time::{Duration, Instant};

use surge_platform::conditions::Thermal;

use super::Look;
use super::latch::{Delays, Held, Latch};
use super::seat::seconds;
use crate::view::{Reason, ReasonCode, Unit};

/// Above the target by so much it stops, °C.
const STOP_ABOVE: f32 = 10.0;
/// Below the target by so much, for a minute, it starts again.
const START_BELOW: f32 = 8.0;
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(60) };
/// Distances from the hardware's own limit that target and stop keep, °C.
const TARGET_MARGIN: f32 = 20.0;
const STOP_MARGIN: f32 = 8.0;
/// A sensor that went away while it was hot: so long it counts as hot still.
const BLIND: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Memory {
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

pub(super) fn rule(look: &Look<'_>, memory: &mut Memory) -> Option<Reason> {
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
    let remedy = "Wait; let air to the fans, or change target_celsius";
    let reason = |detail: String| Reason::new(ReasonCode::Hot, detail, remedy).set_by("target_celsius");
    Some(match (held, thermal.celsius) {
        (Held::Lately { ago, until }, _) => {
            let (ago, after) = (seconds(ago), seconds(DELAYS.start));
            let detail = format!("cool for {ago} s after it was hot; work starts after {after} s");
            reason(detail).measured(ago, after, Unit::Seconds).until(look.now.unix_at(until))
        }
        (Held::Now, Some(celsius)) => {
            let detail = format!("the processor is at {celsius:.0} °C; work starts below {start:.0} °C");
            reason(detail).measured(celsius.round() as i64, start.round() as i64, Unit::Celsius)
        }
        (Held::Now, None) => reason("the processor was hot, and its sensor has gone".to_owned())
            .until(memory.read_at.map(|at| look.now.unix_at(at + BLIND))),
    })
}
