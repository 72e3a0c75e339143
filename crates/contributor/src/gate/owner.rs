//! What the owner said by hand, and the week's schedule.

use super::{Intent, Look};
use crate::view::{Reason, ReasonCode};

pub(super) fn paused(look: &Look<'_>) -> Option<Reason> {
    let Intent::Paused { until } = look.intent else { return None };
    Some(Reason::new(ReasonCode::Paused, "paused by you", "Resume").until(until))
}

/// Not a hold: what runs goes on, and nothing new is started.
pub(super) fn finishing(look: &Look<'_>) -> Option<Reason> {
    let what = match look.now.tasks {
        1 => "one task is".to_owned(),
        tasks => format!("{tasks} tasks are"),
    };
    let detail = format!("{what} left to finish, then it pauses");
    (look.intent == Intent::Finish).then(|| Reason::new(ReasonCode::Finishing, detail, "Resume to go on after them"))
}

pub(super) fn schedule(look: &Look<'_>) -> Option<Reason> {
    let (schedule, now) = (&look.limits.schedule, &look.now.local);
    if schedule.allows(now) {
        return None;
    }
    let windows: Vec<_> = schedule.windows().iter().map(ToString::to_string).collect();
    let detail = format!("it is {}, and the schedule is {}", now.strftime("%a %H:%M"), windows.join("; "));
    let until = schedule.next_start(now).and_then(|start| u64::try_from(start.as_second()).ok());
    let remedy = "Wait, or change schedule; an empty one allows every moment";
    Some(Reason::new(ReasonCode::OutsideSchedule, detail, remedy).until(until).set_by("schedule"))
}
