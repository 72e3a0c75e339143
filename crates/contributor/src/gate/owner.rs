//! What the owner said by hand, and the week's schedule.

use super::{Intent, Situation};
use crate::view::{Reason, ReasonCode};

pub(super) fn paused(look: &Situation<'_>) -> Option<Reason> {
    let Intent::Paused { until } = look.intent else { return None };
    Some(Reason::new(ReasonCode::Paused).until(until))
}

/// Not a hold: what runs goes on, and nothing new is started.
pub(super) fn finishing(look: &Situation<'_>) -> Option<Reason> {
    (look.intent == Intent::Finish).then(|| Reason::new(ReasonCode::Finishing))
}

pub(super) fn schedule(look: &Situation<'_>) -> Option<Reason> {
    let (schedule, now) = (&look.limits.schedule, &look.now.local);
    if schedule.allows(now) {
        return None;
    }
    let windows: Vec<_> = schedule.windows().iter().map(ToString::to_string).collect();
    let until = schedule.next_start(now).and_then(|start| u64::try_from(start.as_second()).ok());
    let reason = Reason::new(ReasonCode::OutsideSchedule).until(until).set_by("schedule");
    Some(if windows.is_empty() { reason } else { reason.about(windows.join("; ")) })
}
