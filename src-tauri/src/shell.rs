//! Decides what the desktop shows and what the engine is told; one loop obeys.
//!
//! Deliberately absent: Tauri. The desktop is a trait, so that all of this runs in tests without a window.

use jiff::Zoned;
use serde::Serialize;
use surge_client::view::{Command, Snapshot};
use tokio::sync::{mpsc, watch};

use crate::action::Action;
use crate::tray::{self, Ink, Look};
use crate::words::Words;

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Snapshot(Box<Snapshot>),
    /// A person did something, in the tray or in the window.
    Did(Action),
    /// The window's close button was pressed.
    CloseAsked,
    WindowGone,
    /// The window is ready to show views.
    WindowReady,
    /// Whether something shows tray icons.
    TrayHost(bool),
    /// How the desktop is coloured was learned, or changed.
    Colours(Colours),
}

/// How the desktop is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colours {
    /// What shows on the panel.
    pub(crate) ink: Ink,
    /// Whether windows are to be dark; `None` leaves it to the toolkit's theme.
    pub(crate) dark: Option<bool>,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Tray(Look),
    /// Windows are to be dark, light, or as the toolkit's theme is.
    Dark(Option<bool>),
    OpenWindow,
    DestroyWindow,
    Show(Box<View>),
    Tell(Command),
    Quit,
}

/// All that the window shows at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct View {
    pub(crate) snapshot: Snapshot,
    /// The window was asked to close where no tray would be left to open it again.
    pub(crate) leaving_without_tray: bool,
}

/// The desktop as the shell needs it.
pub(crate) trait Desktop {
    /// Shows this look in the tray. `false` when there is no tray after all.
    fn tray(&mut self, look: &Look) -> bool;
    fn dark(&mut self, dark: Option<bool>);
    fn open_window(&mut self);
    fn destroy_window(&mut self);
    fn show(&mut self, view: View);
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Quit,
    EngineGone,
}

#[derive(Debug)]
pub(crate) struct Shell {
    words: Words,
    snapshot: Snapshot,
    ink: Ink,
    tray_host: bool,
    /// What the tray shows; `None` while nothing does.
    shown: Option<Look>,
    window_ready: bool,
    leaving_without_tray: bool,
}

impl Shell {
    pub(crate) fn new(words: Words, snapshot: Snapshot) -> Self {
        Self {
            words,
            snapshot,
            ink: Ink::Middle,
            tray_host: false,
            shown: None,
            window_ready: false,
            leaving_without_tray: false,
        }
    }

    /// What follows from `event`. `now` is the local time, for pauses that end with the day.
    pub(crate) fn on(&mut self, event: Event, now: &Zoned) -> Vec<Effect> {
        match event {
            Event::Snapshot(snapshot) => {
                self.snapshot = *snapshot;
                self.refresh()
            }
            Event::Did(action) => self.did(action, now),
            Event::CloseAsked if self.tray_host => vec![Effect::DestroyWindow],
            Event::CloseAsked => self.ask_before_leaving(true),
            Event::WindowGone => {
                self.window_ready = false;
                self.leaving_without_tray = false;
                Vec::new()
            }
            Event::WindowReady => {
                self.window_ready = true;
                self.view().into_iter().collect()
            }
            Event::TrayHost(true) => {
                self.tray_host = true;
                self.tray().into_iter().collect()
            }
            Event::TrayHost(false) => {
                self.without_tray();
                Vec::new()
            }
            Event::Colours(colours) => {
                self.ink = colours.ink;
                self.tray().into_iter().chain([Effect::Dark(colours.dark)]).collect()
            }
        }
    }

    /// Nothing shows tray icons now.
    fn without_tray(&mut self) {
        self.tray_host = false;
        self.shown = None;
    }

    fn did(&mut self, action: Action, now: &Zoned) -> Vec<Effect> {
        match action {
            Action::Pause(choice) => vec![Effect::Tell(Command::Pause { seconds: choice.seconds(now) })],
            Action::Finish => vec![Effect::Tell(Command::Finish)],
            Action::Resume => vec![Effect::Tell(Command::Resume)],
            Action::Open => vec![Effect::OpenWindow],
            Action::Close => vec![Effect::DestroyWindow],
            Action::Stay => self.ask_before_leaving(false),
            Action::Quit => vec![Effect::Quit],
        }
    }

    fn ask_before_leaving(&mut self, ask: bool) -> Vec<Effect> {
        self.leaving_without_tray = ask;
        self.view().into_iter().collect()
    }

    fn refresh(&mut self) -> Vec<Effect> {
        self.tray().into_iter().chain(self.view()).collect()
    }

    fn tray(&mut self) -> Option<Effect> {
        let look = tray::look(&self.snapshot, self.ink, &self.words);
        if !self.tray_host || self.shown.as_ref() == Some(&look) {
            return None;
        }
        self.shown = Some(look.clone());
        Some(Effect::Tray(look))
    }

    fn view(&self) -> Option<Effect> {
        let view = View { snapshot: self.snapshot.clone(), leaving_without_tray: self.leaving_without_tray };
        self.window_ready.then(|| Effect::Show(Box::new(view)))
    }
}

/// Obeys the shell until it quits, or until the engine is gone.
pub(crate) async fn run(
    mut shell: Shell,
    mut desktop: impl Desktop,
    mut snapshots: watch::Receiver<Snapshot>,
    tell: impl Fn(Command),
    mut events: mpsc::UnboundedReceiver<Event>,
) -> Ended {
    loop {
        let event = tokio::select! {
            changed = snapshots.changed() => match changed {
                Ok(()) => Event::Snapshot(Box::new(snapshots.borrow_and_update().clone())),
                Err(_) => return Ended::EngineGone,
            },
            Some(event) = events.recv() => event,
        };
        for effect in shell.on(event, &Zoned::now()) {
            match effect {
                Effect::Tray(look) if !desktop.tray(&look) => shell.without_tray(),
                Effect::Tray(_) => {}
                Effect::Dark(dark) => desktop.dark(dark),
                Effect::OpenWindow => desktop.open_window(),
                Effect::DestroyWindow => desktop.destroy_window(),
                Effect::Show(view) => desktop.show(*view),
                Effect::Tell(command) => tell(command),
                Effect::Quit => return Ended::Quit,
            }
        }
    }
}

#[cfg(test)]
mod tests;
