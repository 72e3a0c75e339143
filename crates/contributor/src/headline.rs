//! The one sentence: tray tooltip, window and CLI show the same.

use crate::view::{Reason, ReasonCode, State};

/// The state and its sentence. `running` counts workers that may run now, `finishing` says that it pauses after them;
/// `reasons` are in order.
#[must_use]
pub(crate) fn headline(running: usize, finishing: bool, reasons: &[Reason], now: u64) -> (State, String) {
    if running > 0 {
        let tasks = if running == 1 { "one task".to_owned() } else { format!("{running} tasks") };
        let sentence = match finishing {
            true => format!("Finishing {tasks}, then pausing"),
            false => format!("Earning: {tasks} running"),
        };
        return (State::Earning, sentence);
    }
    let Some(first) = reasons.first() else {
        return (State::Held, "Ready: getting the next task".to_owned());
    };
    let (state, said) = (state(first.code), sentence(first, now));
    match said.strip_prefix("Waiting: ").filter(|_| finishing) {
        Some(why) => (state, format!("Waiting to finish: {why}")),
        None => (state, said),
    }
}

fn state(code: ReasonCode) -> State {
    use ReasonCode::*;
    match code {
        Paused => State::Paused,
        PresenceUnknown | CoordinatorRefused | DiskFull | CacheUnusable | WorkerBroken | SettingsInvalid | NotSetUp => {
            State::NeedsYou
        }
        Finishing
        | OutsideSchedule
        | UserActive
        | OtherUser
        | Disturbed
        | SensorStale
        | FullScreen
        | Film
        | Call
        | Gamepad
        | ExcludedProgram
        | OnBattery
        | LidShut
        | Hot
        | OtherLoad
        | MemoryLow
        | MeteredNetwork
        | RestartNeeded
        | Warm
        | NoTemperature
        | Starting
        | NoWork
        | CoordinatorUnreachable => State::Held,
    }
}

fn sentence(reason: &Reason, now: u64) -> String {
    let left = reason.until.map(|until| span(until.saturating_sub(now)));
    let what = |otherwise: &str| reason.subject.clone().unwrap_or_else(|| otherwise.to_owned());
    match reason.code {
        ReasonCode::Paused => match left {
            Some(left) => format!("Paused for {left} more"),
            None => "Paused until you resume".to_owned(),
        },
        ReasonCode::Finishing => "Finishing, then pausing".to_owned(),
        ReasonCode::OutsideSchedule => match left {
            Some(left) => format!("Waiting: your schedule starts in {left}"),
            None => "Waiting: your schedule allows no work now".to_owned(),
        },
        ReasonCode::UserActive => "Waiting: you are using this computer".to_owned(),
        ReasonCode::OtherUser => "Waiting: somebody else uses this computer".to_owned(),
        ReasonCode::PresenceUnknown => "Not running: can't tell whether you are here".to_owned(),
        ReasonCode::Disturbed => "Waiting: making sure that nobody is here".to_owned(),
        ReasonCode::SensorStale => "Waiting: a sensor does not answer".to_owned(),
        ReasonCode::FullScreen => format!("Waiting: {} fills the screen", what("a window")),
        ReasonCode::Film => format!("Waiting: {} keeps the screen awake", what("a program")),
        ReasonCode::Call => format!("Waiting: {} uses the microphone", what("a program")),
        ReasonCode::Gamepad => "Waiting: you are playing".to_owned(),
        ReasonCode::ExcludedProgram => format!("Waiting: {} is running", what("a program of your list")),
        ReasonCode::OnBattery => "Waiting: on battery".to_owned(),
        ReasonCode::LidShut => "Waiting: the lid is shut".to_owned(),
        ReasonCode::Hot => "Waiting: the processor is too warm".to_owned(),
        ReasonCode::OtherLoad => "Waiting: other programs need the processor".to_owned(),
        ReasonCode::MemoryLow => "Waiting: other programs need the memory".to_owned(),
        ReasonCode::MeteredNetwork => "Waiting: the network is metered".to_owned(),
        ReasonCode::SettingsInvalid => "The settings file has errors".to_owned(),
        ReasonCode::RestartNeeded => "A setting counts from the next start".to_owned(),
        ReasonCode::Warm => "Running gently: the processor is warm".to_owned(),
        ReasonCode::NoTemperature => "Running gently: no sensor tells the temperature".to_owned(),
        ReasonCode::Starting => "Ready: getting the next task".to_owned(),
        ReasonCode::NoWork => "Ready: no work right now".to_owned(),
        ReasonCode::CoordinatorUnreachable => "Waiting: the network can't be reached".to_owned(),
        ReasonCode::CoordinatorRefused => "Stopped: the network refuses this computer".to_owned(),
        ReasonCode::DiskFull => "Stopped: the disk is full".to_owned(),
        ReasonCode::CacheUnusable => "Stopped: Surge's folder can't be used".to_owned(),
        ReasonCode::WorkerBroken => "Stopped: tasks fail on this computer".to_owned(),
        ReasonCode::NotSetUp => "Not set up yet".to_owned(),
    }
}

/// A stretch of the timeline in words, from the names of its state and first reason.
#[must_use]
pub fn in_words(state: &str, reason: &str) -> String {
    let known = serde_json::from_value::<ReasonCode>(reason.into());
    match (state, known) {
        ("off", _) => "No engine ran".to_owned(),
        ("asleep", _) => "The computer slept".to_owned(),
        ("clock_set", _) => "The clock was set forward".to_owned(),
        ("stood_still", _) => "The engine got no time to run".to_owned(),
        ("earning", _) => "Earning".to_owned(),
        (_, Ok(ReasonCode::Paused)) => "Paused by you".to_owned(),
        (_, Ok(code)) => sentence(&Reason::new(code, "", ""), 0),
        _ => format!("{state} {reason}").trim().to_owned(),
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
        Reason::new(code, "", "").until(until)
    }

    #[test]
    fn work_that_runs_is_earning_whatever_else_is_true() {
        let idle = [reason(ReasonCode::NoWork, None)];
        assert_eq!(headline(2, false, &idle, 0), (State::Earning, "Earning: 2 tasks running".into()));
        assert_eq!(headline(1, true, &idle, 0), (State::Earning, "Finishing one task, then pausing".into()));
    }

    #[test]
    fn what_waits_to_finish_says_that_it_will_not_go_on() {
        let held = [reason(ReasonCode::UserActive, None), reason(ReasonCode::Finishing, None)];
        assert_eq!(headline(0, true, &held, 0).1, "Waiting to finish: you are using this computer");
        assert_eq!(headline(0, true, &held[1..], 0).1, "Finishing, then pausing");
        assert_eq!(headline(0, false, &held, 0).1, "Waiting: you are using this computer");
    }

    #[test]
    fn the_first_reason_is_the_sentence() {
        let reasons = [reason(ReasonCode::Paused, Some(7_500)), reason(ReasonCode::UserActive, None)];
        assert_eq!(headline(0, false, &reasons, 0), (State::Paused, "Paused for 2 h 5 min more".into()));
        assert_eq!(headline(0, false, &reasons[1..], 0).0, State::Held);
        assert_eq!(headline(0, false, &[], 0).0, State::Held);
    }
}
