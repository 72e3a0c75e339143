//! Mains or battery. What can't be read is a battery; a shut lid on a battery is a bag.

use std::time::{Duration, Instant};

use surge_platform::conditions::{Conditions, Power};

use super::latch::{Delays, Held, Latch};
use super::presence::seconds;
use super::{Decision, Situation};
use crate::view::{Case, Reason, ReasonCode, Unit};

/// At once, and not again before ten seconds: plugs are loose while they are put in.
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(10) };
/// So many points above the lowest charge it starts again.
const CHARGE_STEP: u8 = 5;

/// Whether the battery and the shut lid hold work.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct PowerLatches {
    battery: Latch,
    lid: Latch,
    /// The charge was too low and has not risen enough.
    low: bool,
}

/// Whether sleep may be put off for the work, where the owner wants that: it runs, and it is known that the mains feed it.
#[must_use]
pub(crate) fn feeds_work(conditions: &Conditions, decision: &Decision, tasks: u32) -> bool {
    tasks > 0 && matches!(decision, Decision::Run(_)) && conditions.power.value == Power::Mains
}

pub(super) fn on_battery(conditions: &Conditions) -> bool {
    !matches!(conditions.power.value, Power::Mains)
}

pub(super) fn rule(look: &Situation<'_>, memory: &mut PowerLatches) -> Vec<Reason> {
    battery(look, memory).into_iter().chain(lid(look, memory)).collect()
}

fn lid(look: &Situation<'_>, memory: &mut PowerLatches) -> Option<Reason> {
    let in_a_bag = on_battery(look.conditions) && look.conditions.foreground.value.lid_shut;
    let held = memory.lid.step(in_a_bag, DELAYS, look.now.at)?;
    let reason = Reason::new(ReasonCode::LidShut);
    Some(match held {
        Held::Now => reason,
        Held::Lately { ago, until } => lately(look, reason, ago, until),
    })
}

/// The condition ended a moment ago: work waits for a while before it starts again.
fn lately(look: &Situation<'_>, reason: Reason, ago: Duration, until: Instant) -> Reason {
    let reason = reason.case(Case::Ended).measured(seconds(ago), seconds(DELAYS.start), Unit::Seconds);
    reason.until(look.now.unix_at(until))
}

fn battery(look: &Situation<'_>, memory: &mut PowerLatches) -> Option<Reason> {
    let least = look.limits.battery_min_percent;
    let charge = match look.conditions.power.value {
        Power::Mains => None,
        Power::Battery { percent } => Some(percent),
        Power::Unknown => Some(None),
    };
    let limit = if memory.low { least.saturating_add(CHARGE_STEP) } else { least };
    memory.low = charge.is_some_and(|percent| percent.is_none_or(|percent| percent < limit));
    let allowed = look.limits.battery.is_some();
    let no = charge.is_some() && (!allowed || memory.low);
    let held = memory.battery.step(no, DELAYS, look.now.at)?;
    let setting = if allowed { "battery_min_percent" } else { "battery_cpu_percent" };
    let reason = Reason::new(ReasonCode::OnBattery).set_by(setting);
    Some(match (held, charge.flatten()) {
        (Held::Lately { ago, until }, _) => lately(look, reason, ago, until),
        (Held::Now, Some(percent)) if allowed => {
            let limit = if memory.low { least.saturating_add(CHARGE_STEP) } else { least };
            reason.case(Case::ChargeLow).measured(percent, limit, Unit::Percent)
        }
        (Held::Now, Some(_)) => reason,
        (Held::Now, None) => match look.conditions.power.value {
            Power::Unknown => reason.case(Case::Unreadable),
            _ => reason.case(Case::ChargeUnknown),
        },
    })
}
