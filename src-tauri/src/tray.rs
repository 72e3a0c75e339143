//! What the tray shows, as plain data made from a snapshot: icon, tooltip, menu.
//!
//! Deliberately absent: any window system. `tray::native` shows what is decided here.

pub(crate) mod native;

use surge_client::view::{ReasonCode, Snapshot, State};
use surge_protocol::Amount;
use surge_protocol::amount::ONE;

use crate::action::Action;
use crate::pause::PauseChoice;
use crate::words::Words;

/// All that the tray shows at one moment. Equal looks need no work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) icon: Icon,
    pub(crate) tooltip: String,
    pub(crate) menu: Menu,
}

/// The shape says the state; the ink only makes it visible on the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Icon {
    pub(crate) shape: State,
    pub(crate) ink: Ink,
}

/// What is drawn with, by the panel's brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// For dark panels.
    Light,
    /// For light panels.
    Dark,
    /// For panels of unknown brightness: 3:1 against both white and black.
    Middle,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Menu(pub(crate) Vec<Line>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Something to read.
    Text(String),
    Separator,
    Item(Item),
    Submenu(String, Vec<Item>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) action: Action,
    pub(crate) label: String,
}

pub(crate) fn look(snapshot: &Snapshot, ink: Ink, words: &Words) -> Look {
    Look { icon: icon(snapshot, ink), tooltip: snapshot.headline.clone(), menu: menu(snapshot, words) }
}

fn icon(snapshot: &Snapshot, ink: Ink) -> Icon {
    Icon { shape: snapshot.state, ink }
}

fn menu(snapshot: &Snapshot, words: &Words) -> Menu {
    let today = words.say("tray.today").replace("{amount}", &shown(snapshot.earnings.today, words));
    let mut lines = vec![Line::Text(snapshot.headline.clone()), Line::Text(today), Line::Separator];
    if paused(snapshot) {
        lines.push(item(Action::Resume, "tray.resume", words));
    } else {
        lines.extend([pause(words), finish(snapshot, words)]);
    }
    lines.extend([Line::Separator, item(Action::Open, "tray.open", words), item(Action::Quit, "tray.quit", words)]);
    Menu(lines)
}

/// Whether the owner paused it, whatever else is true.
fn paused(snapshot: &Snapshot) -> bool {
    snapshot.state == State::Paused || snapshot.reasons.iter().any(|reason| reason.code == ReasonCode::Paused)
}

fn pause(words: &Words) -> Line {
    let choice = |choice: PauseChoice| Item {
        action: Action::Pause(choice),
        label: words.say(&format!("pause.{}", choice.name())).to_owned(),
    };
    Line::Submenu(words.say("tray.pause").to_owned(), PauseChoice::ALL.map(choice).to_vec())
}

/// Pausing after the running tasks, or not doing so after all. Without a task there is nothing to finish; the line stays
/// where it is, so that the menu under somebody's pointer does not move.
fn finish(snapshot: &Snapshot, words: &Words) -> Line {
    match snapshot.workers.len() {
        _ if snapshot.finishing => item(Action::Resume, "action.go_on", words),
        0 => Line::Text(words.say("action.finish.one").to_owned()),
        1 => item(Action::Finish, "action.finish.one", words),
        _ => item(Action::Finish, "action.finish.other", words),
    }
}

fn item(action: Action, key: &str, words: &Words) -> Line {
    Line::Item(Item { action, label: words.say(key).to_owned() })
}

/// Whole tokens with up to four decimals, cut and never rounded up; the same rule as the window's `format.ts`.
fn shown(amount: Amount, words: &Words) -> String {
    const SMALLEST: u128 = ONE / 10_000;
    let point = words.say("format.point");
    if amount.0 > 0 && amount.0 < SMALLEST {
        return format!("< {}", Amount(SMALLEST).to_string().replace('.', point));
    }
    Amount(amount.0 - amount.0 % SMALLEST).to_string().replace('.', point)
}

#[cfg(test)]
pub(crate) mod tests;
