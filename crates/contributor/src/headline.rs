//! The one sentence: tray tooltip, window and CLI show the same.

use crate::view::{Reason, ReasonCode, State};

/// The state and its sentence. `running` counts workers that may run now; `reasons` are in order.
#[must_use]
pub(crate) fn headline(running: usize, reasons: &[Reason], now: u64) -> (State, String) {
    if running > 0 {
        let tasks = if running == 1 { "one task".to_owned() } else { format!("{running} tasks") };
        return (State::Earning, format!("Earning: {tasks} running"));
    }
    let Some(first) = reasons.first() else {
        return (State::Held, "Ready: getting the next task".to_owned());
    };
    (state(first.code), sentence(first, now))
}

fn state(code: ReasonCode) -> State {
    match code {
        ReasonCode::Paused => State::Paused,
        ReasonCode::UserActive | ReasonCode::NoWork | ReasonCode::CoordinatorUnreachable => State::Held,
        ReasonCode::PresenceUnknown
        | ReasonCode::CoordinatorRefused
        | ReasonCode::DiskFull
        | ReasonCode::WorkerBroken
        | ReasonCode::NotSetUp => State::NeedsYou,
    }
}

fn sentence(reason: &Reason, now: u64) -> String {
    match reason.code {
        ReasonCode::Paused => match reason.until {
            Some(until) => format!("Paused for {} more", span(until.saturating_sub(now))),
            None => "Paused until you resume".to_owned(),
        },
        ReasonCode::UserActive => "Waiting: you are using this computer".to_owned(),
        ReasonCode::PresenceUnknown => "Not running: can't tell whether you are here".to_owned(),
        ReasonCode::NoWork => "Ready: no work right now".to_owned(),
        ReasonCode::CoordinatorUnreachable => "Waiting: the network can't be reached".to_owned(),
        ReasonCode::CoordinatorRefused => "Stopped: the network refuses this computer".to_owned(),
        ReasonCode::DiskFull => "Stopped: the disk is full".to_owned(),
        ReasonCode::WorkerBroken => "Stopped: tasks fail on this computer".to_owned(),
        ReasonCode::NotSetUp => "Not set up yet".to_owned(),
    }
}

/// A time in the largest unit that says enough, rounded up: `2 h 5 min`, `25 min`, `40 s`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let minutes = seconds.div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, _) if seconds < 60 => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: ReasonCode, until: Option<u64>) -> Reason {
        Reason { code, detail: String::new(), until, remedy: String::new() }
    }

    #[test]
    fn work_that_runs_is_earning_whatever_else_is_true() {
        let idle = [reason(ReasonCode::NoWork, None)];
        assert_eq!(headline(2, &idle, 0), (State::Earning, "Earning: 2 tasks running".into()));
    }

    #[test]
    fn the_first_reason_is_the_sentence() {
        let reasons = [reason(ReasonCode::Paused, Some(7_500)), reason(ReasonCode::UserActive, None)];
        assert_eq!(headline(0, &reasons, 0), (State::Paused, "Paused for 2 h 5 min more".into()));
        assert_eq!(headline(0, &reasons[1..], 0).0, State::Held);
        assert_eq!(headline(0, &[], 0).0, State::Held);
    }
}
