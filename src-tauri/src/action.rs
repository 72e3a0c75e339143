//! What a person can do, in the tray's menu and in the window alike.

use crate::pause::PauseChoice;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Pause(PauseChoice),
    /// Ends the running tasks, then pauses.
    Finish,
    Resume,
    /// Starts an engine where none runs.
    Start,
    Open,
    /// Closes the window even where no tray is left to open it again.
    Close,
    /// Leaves the window open after all.
    Stay,
    Quit,
}

/// The actions that a menu line can stand for, with their ids.
const MENU: [(&str, Action); 9] = [
    ("pause.half_hour", Action::Pause(PauseChoice::HalfHour)),
    ("pause.two_hours", Action::Pause(PauseChoice::TwoHours)),
    ("pause.tomorrow", Action::Pause(PauseChoice::Tomorrow)),
    ("pause.until_resumed", Action::Pause(PauseChoice::UntilResumed)),
    ("finish", Action::Finish),
    ("resume", Action::Resume),
    ("start", Action::Start),
    ("open", Action::Open),
    ("quit", Action::Quit),
];

impl Action {
    /// Its menu id; `None` for what only the window offers.
    pub(crate) fn id(self) -> Option<&'static str> {
        MENU.iter().find(|(_, action)| *action == self).map(|(id, _)| *id)
    }

    pub(crate) fn from_id(id: &str) -> Option<Self> {
        MENU.iter().find(|(known, _)| *known == id).map(|(_, action)| *action)
    }
}
