//! What other programs leave of the processor. Work at idle priority, ours and others', is not load.

use std::time::Duration;

use super::Situation;
use super::latch::{Delays, Held, Latch};
use super::presence::seconds;
use crate::view::{Case, Reason, ReasonCode, Unit};

/// A busy moment is none: ten seconds above the one threshold stop it, a minute below the other starts it.
const DELAYS: Delays = Delays { stop: Duration::from_secs(10), start: Duration::from_secs(60) };

pub(super) fn rule(look: &Situation<'_>, latch: &mut Latch) -> Option<Reason> {
    let Some(limit) = look.limits.other_load else {
        *latch = Latch::default();
        return None;
    };
    let percent = look.conditions.load.value.cpu_percent;
    // What is no number is busy.
    let busy = percent.is_nan() || percent > if latch.held() { limit.start_below } else { limit.stop_above };
    let held = latch.step(busy, DELAYS, look.now.at)?;
    let reason = Reason::new(ReasonCode::OtherLoad).set_by("other_load_percent");
    let start = limit.start_below;
    Some(match held {
        Held::Now => reason.measured(percent.round() as i64, start.round() as i64, Unit::Percent),
        Held::Lately { ago, until } => {
            let reason = reason.case(Case::Ended).measured(seconds(ago), seconds(DELAYS.start), Unit::Seconds);
            reason.until(look.now.unix_at(until))
        }
    })
}
