//! Programs of the owner's list: while one runs, nothing else does.

use std::time::Duration;

use super::Situation;
use super::latch::{Delays, Held, Latch};
use super::presence::seconds;
use crate::view::{Case, Reason, ReasonCode, Unit};

/// At once, and not again before ten seconds without: programs that restart themselves are gone for a moment.
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(10) };

/// Whether programs of the list hold work, and which were seen last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ProgramsSeen {
    latch: Latch,
    programs: String,
}

pub(super) fn rule(look: &Situation<'_>, memory: &mut ProgramsSeen) -> Option<Reason> {
    // The reading may be older than the list.
    let running: Vec<&str> = look.conditions.foreground.value.excluded.iter().map(String::as_str).collect();
    let running: Vec<&str> = running.into_iter().filter(|it| look.limits.excluded_programs.contains(*it)).collect();
    if !running.is_empty() {
        memory.programs = running.join(", ");
    }
    let held = memory.latch.step(!running.is_empty(), DELAYS, look.now.at)?;
    let programs = &memory.programs;
    let reason = Reason::new(ReasonCode::ExcludedProgram);
    let reason = match held {
        Held::Now => reason,
        Held::Lately { ago, until } => {
            let reason = reason.case(Case::Ended).measured(seconds(ago), seconds(DELAYS.start), Unit::Seconds);
            reason.until(look.now.unix_at(until))
        }
    };
    Some(reason.about(programs.as_str()).set_by("excluded_programs"))
}
