//! What the tray shows, as plain data made from a snapshot or from what is wrong: icon, tooltip, menu.
//!
//! Deliberately absent: any window system. `tray::native` shows what is decided here.

pub(crate) mod native;

use surge_client::view::{ReasonCode, Snapshot, State};
use surge_client::words::Words;
use surge_protocol::Amount;
use surge_protocol::amount::ONE;

use crate::action::Action;
use crate::lost::{Lost, LostCode};
use crate::pause::PauseChoice;
use crate::shell::Quit;
use crate::view::SkewCode;

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

/// What the engine says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// How the engine's version differs from this program's.
    pub(crate) skew: Option<SkewCode>,
    /// Whether the engine lets this user pause it.
    pub(crate) may_pause: bool,
}

/// `now` is what the engine says, or why it says nothing.
pub(crate) fn look(now: Result<Now<'_>, Lost>, quit: Quit, ink: Ink, words: &Words) -> Look {
    let (shape, tooltip, mut lines) = match now {
        Ok(now) => {
            let headline = words.headline(now.snapshot);
            (now.snapshot.state, headline.clone(), menu(headline, now, words))
        }
        Err(lost) => {
            let headline = words.say(&format!("lost.{}", lost.code.name())).to_owned();
            let shape = if lost.code.passes() { State::Held } else { State::NeedsYou };
            (shape, headline.clone(), menu_without_engine(headline, lost.code, words))
        }
    };
    let quit = match quit {
        Quit::StopsWork => "quit.stops_work",
        Quit::LeavesWork => "quit.leaves_work",
        Quit::NothingRuns => "quit.nothing_runs",
    };
    lines.extend([Line::Separator, item(Action::Open, "tray.open", words), item(Action::Quit, quit, words)]);
    Look { icon: Icon { shape, ink }, tooltip, menu: Menu(lines) }
}

fn menu(headline: String, now: Now<'_>, words: &Words) -> Vec<Line> {
    let Now { snapshot, skew, may_pause } = now;
    let today = snapshot.networks.iter().map(|network| network.earnings.today.0).fold(0, u128::saturating_add);
    let today = words.say("tray.today").replace("{amount}", &shown(Amount(today), words));
    let mut lines = vec![Line::Text(headline)];
    lines.extend(advice(snapshot, skew).map(|key| Line::Text(words.say(key).to_owned())));
    lines.push(Line::Text(today));
    match paused(snapshot) {
        _ if !may_pause => {}
        true => lines.extend([Line::Separator, item(Action::Resume, "tray.resume", words)]),
        false => lines.extend([Line::Separator, pause(words), finish(snapshot, words)]),
    }
    lines
}

/// What an update has left to do. One line is enough: the window has the whole of it.
fn advice(snapshot: &Snapshot, skew: Option<SkewCode>) -> Option<&'static str> {
    match skew {
        Some(SkewCode::EngineNewer) => Some("tray.engine_newer"),
        Some(SkewCode::EngineOlder) => Some("tray.engine_older"),
        None => {
            let restart = snapshot.notices.iter().any(|notice| notice.code == ReasonCode::RestartNeeded);
            restart.then_some("reason.restart_needed")
        }
    }
}

fn menu_without_engine(headline: String, lost: LostCode, words: &Words) -> Vec<Line> {
    let start = lost.can_start().then(|| item(Action::Start, "tray.start", words));
    [Line::Text(headline)].into_iter().chain(start).collect()
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
