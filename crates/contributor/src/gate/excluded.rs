//! Programs of the owner's list: while one runs, nothing else does.

use std::time::Duration;

use super::Look;
use super::latch::{Delays, Held, Latch};
use super::seat::seconds;
use crate::view::{Reason, ReasonCode, Unit};

/// At once, and not again before ten seconds without: programs that restart themselves are gone for a moment.
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(10) };

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Memory {
    latch: Latch,
    programs: String,
}

pub(super) fn rule(look: &Look<'_>, memory: &mut Memory) -> Option<Reason> {
    // The reading may be older than the list.
    let running: Vec<&str> = look.conditions.foreground.value.excluded.iter().map(String::as_str).collect();
    let running: Vec<&str> = running.into_iter().filter(|it| look.limits.excluded_programs.contains(*it)).collect();
    if !running.is_empty() {
        memory.programs = running.join(", ");
    }
    let held = memory.latch.step(!running.is_empty(), DELAYS, look.now.at)?;
    let programs = &memory.programs;
    let remedy = "Close it, or take it off excluded_programs";
    let reason = match held {
        Held::Now => Reason::new(ReasonCode::ExcludedProgram, format!("{programs} runs"), remedy),
        Held::Lately { ago, until } => {
            let (ago, after) = (seconds(ago), seconds(DELAYS.start));
            let detail = format!("{programs} ended {ago} s ago; work starts after {after} s");
            let reason = Reason::new(ReasonCode::ExcludedProgram, detail, remedy);
            reason.measured(ago, after, Unit::Seconds).until(look.now.unix_at(until))
        }
    };
    Some(reason.about(programs.as_str()).set_by("excluded_programs"))
}
