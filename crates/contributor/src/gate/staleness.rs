//! Readings that are too old, or from before a disturbance, are no readings. Presence has a rule of its own.

use std::time::{Duration, Instant};

use super::Situation;
use super::latch::{Delays, Latch};
use super::presence::seconds;
use crate::view::{Case, Reason, ReasonCode, Unit};

/// Each reading is trusted for several times the pace at which it is taken while work runs.
const POWER: Duration = Duration::from_secs(120);
const THERMAL: Duration = Duration::from_secs(15);
const LOAD: Duration = Duration::from_secs(15);
const FOREGROUND: Duration = Duration::from_secs(30);

/// Not again before five seconds of fresh readings.
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(5) };

/// Whether a stale reading holds work, and which it was last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct LastStale {
    latch: Latch,
    /// The reading that was too old, its age then, and for how long it is trusted.
    stale: Option<(&'static str, Duration, Duration)>,
}

pub(super) fn rule(look: &Situation<'_>, memory: &mut LastStale) -> Option<Reason> {
    let found = stale(look);
    if found.is_some() {
        memory.stale = found;
    }
    memory.latch.step(found.is_some(), DELAYS, look.now.at)?;
    let (what, age, most) = memory.stale?;
    let reason = Reason::new(ReasonCode::SensorStale).measured(seconds(age), seconds(most), Unit::Seconds).about(what);
    Some(if found.is_some() { reason } else { reason.case(Case::Recovered) })
}

/// The first reading that is too old. A reading that no sensor can give is treated as fresh here: each rule decides what
/// it means that a value is missing.
fn stale(look: &Situation<'_>) -> Option<(&'static str, Duration, Duration)> {
    let it = look.conditions;
    let readings: [(&str, &str, Instant, Duration); 4] = [
        ("power", it.power.source, it.power.at, POWER),
        ("temperature", it.thermal.source, it.thermal.at, THERMAL),
        ("load", it.load.source, it.load.at, LOAD),
        ("foreground", it.foreground.source, it.foreground.at, FOREGROUND),
    ];
    let disturbed = it.disturbed.map(|(_, at)| at);
    readings.into_iter().filter(|(_, source, ..)| *source != "none").find_map(|(what, _, at, most)| {
        let age = look.now.at.saturating_duration_since(at);
        let outdated = disturbed.is_some_and(|disturbed| at < disturbed);
        (outdated || age > most).then_some((what, age, most))
    })
}
