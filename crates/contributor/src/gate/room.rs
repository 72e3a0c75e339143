//! Memory: no task begins that there may be too little for; when others need it, tasks go one after another, running or held.

use std::time::{Duration, Instant};

use super::Situation;
use crate::view::{Case, Reason, ReasonCode, Unit};

/// The memory of a task that was ended must have had so long to come back in a reading that lets another one go.
const SHED_EVERY: Duration = Duration::from_secs(5);
/// So long there must be enough for one more before one more may come, after one had to go.
const GROW_AFTER: Duration = Duration::from_secs(60);

/// What is left for tasks since one had to go.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RoomLeft {
    /// Tasks that may stay since one had to go; `None` is any number.
    room: Option<u32>,
    shed_at: Option<Instant>,
    /// Since when there is enough for one more.
    ample_since: Option<Instant>,
}

/// How many tasks may be in memory.
pub(super) fn room(look: &Situation<'_>, memory: &mut RoomLeft) -> u32 {
    let (limits, now, reading) = (look.limits, look.now.at, &look.conditions.load);
    // What the tasks that are here may still take is as good as taken.
    let left = reading.value.available_bytes.saturating_sub(look.now.may_take);
    let most = [Some(limits.away), limits.in_use, limits.battery].into_iter().flatten().map(|it| it.workers).max();
    let most = most.unwrap_or(0).max(look.now.tasks);
    if reading.value.available_bytes < limits.leave_free {
        memory.ample_since = None;
        // A reading from before the last one went does not show what that gave back.
        if memory.shed_at.is_none_or(|shed| reading.at.saturating_duration_since(shed) >= SHED_EVERY) {
            memory.shed_at = Some(now);
            memory.room = Some(look.now.tasks.min(memory.room.unwrap_or(most)).saturating_sub(1));
        }
    } else if left < limits.leave_free.saturating_add(limits.task_memory) {
        memory.ample_since = None;
    } else if let Some(room) = memory.room {
        let since = *memory.ample_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= GROW_AFTER {
            memory.ample_since = Some(now);
            memory.room = (room + 1 < most).then_some(room + 1);
        }
    }
    let more = left.saturating_sub(limits.leave_free) / limits.task_memory.max(1);
    let fits = look.now.tasks.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
    memory.room.unwrap_or(most).min(most).min(fits)
}

/// No room for a single task is a hold.
pub(super) fn rule(look: &Situation<'_>, room: u32) -> Option<Reason> {
    if room > 0 {
        return None;
    }
    let mib = |bytes: u64| i64::try_from(bytes >> 20).unwrap_or(i64::MAX);
    let free = mib(look.conditions.load.value.available_bytes);
    let needed = mib(look.limits.leave_free.saturating_add(look.limits.task_memory));
    let reason = Reason::new(ReasonCode::MemoryLow).measured(free, needed, Unit::Mebibytes).set_by("leave_free_mib");
    Some(if free < needed { reason } else { reason.case(Case::Recovered) })
}
