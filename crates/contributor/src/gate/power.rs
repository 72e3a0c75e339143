//! Mains or battery. What can't be read is a battery; a shut lid on a battery is a bag.

use std::time::Duration;

use surge_platform::conditions::{Conditions, Power};

use super::latch::{Delays, Held, Latch};
use super::seat::seconds;
use super::{Decision, Look};
use crate::view::{Reason, ReasonCode, Unit};

/// At once, and not again before ten seconds: plugs are loose while they are put in.
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(10) };
/// So many points above the lowest charge it starts again.
const CHARGE_STEP: u8 = 5;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Memory {
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

pub(super) fn rule(look: &Look<'_>, memory: &mut Memory) -> Vec<Reason> {
    battery(look, memory).into_iter().chain(lid(look, memory)).collect()
}

fn lid(look: &Look<'_>, memory: &mut Memory) -> Option<Reason> {
    let in_a_bag = on_battery(look.conditions) && look.conditions.foreground.value.lid_shut;
    let held = memory.lid.step(in_a_bag, DELAYS, look.now.at)?;
    let remedy = "Open the lid, or plug it in";
    let what = "the lid is shut and it runs on its battery";
    Some(match held {
        Held::Now => Reason::new(ReasonCode::LidShut, what, remedy),
        Held::Lately { .. } => lately(look, held, ReasonCode::LidShut, "the lid is open or the mains are back", remedy),
    })
}

/// What is well again, and not long enough.
fn lately(look: &Look<'_>, held: Held, code: ReasonCode, what: &str, remedy: &str) -> Reason {
    let (ago, until) = match held {
        Held::Now => (Duration::ZERO, None),
        Held::Lately { ago, until } => (ago, Some(look.now.unix_at(until))),
    };
    let (ago, after) = (seconds(ago), seconds(DELAYS.start));
    let reason = Reason::new(code, format!("{what} since {ago} s; work starts after {after} s"), remedy);
    reason.measured(ago, after, Unit::Seconds).until(until)
}

fn battery(look: &Look<'_>, memory: &mut Memory) -> Option<Reason> {
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
    let remedy = match allowed {
        true => "Plug it in, or lower battery_min_percent",
        false => "Plug it in, or give it a budget with battery_cpu_percent",
    };
    let setting = if allowed { "battery_min_percent" } else { "battery_cpu_percent" };
    let reason = |detail: String| Reason::new(ReasonCode::OnBattery, detail, remedy).set_by(setting);
    Some(match (held, charge.flatten()) {
        (Held::Lately { .. }, _) => {
            let what = if charge.is_none() { "plugged in" } else { "its battery is charged enough" };
            lately(look, held, ReasonCode::OnBattery, what, remedy).set_by(setting)
        }
        (Held::Now, Some(percent)) if allowed => {
            let limit = if memory.low { least.saturating_add(CHARGE_STEP) } else { least };
            let detail = format!("on its battery at {percent} %; work starts from {limit} %");
            reason(detail).measured(percent, limit, Unit::Percent)
        }
        (Held::Now, Some(percent)) => reason(format!("on its battery, at {percent} %")),
        (Held::Now, None) => match look.conditions.power.value {
            Power::Unknown => reason("can't tell whether it runs on its battery".to_owned()),
            _ => reason("on its battery, which does not tell its charge".to_owned()),
        },
    })
}
