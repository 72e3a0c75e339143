//! Decides what the desktop shows and what the engine is asked; one loop obeys.
//!
//! Deliberately absent: Tauri. The desktop is a trait, so that all of this runs in tests without a window.

use std::time::Duration;

use jiff::Zoned;
use surge_client::view::{Command, Snapshot};
use surge_client::words::Words;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::action::Action;
use crate::follow::{EngineStatus, Told};
use crate::host::Host;
use crate::lost::{Lost, LostCode};
use crate::tray::{self, Ink, Look};
use crate::view::{Failure, Skew, View};

/// How long an engine that was asked to end may take, which is a matter of seconds: it gives running tasks back.
pub(crate) const GOODBYE: Duration = Duration::from_secs(30);

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// Something was heard of the engine.
    Engine(EngineStatus),
    /// The engine did not do what it was asked for.
    Failed(Failure),
    /// The engine was asked to end, and is gone.
    Ended,
    /// The engine was asked to end, and has not ended within [`GOODBYE`].
    StillThere,
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
    /// Send this to the engine.
    Ask(Command),
    /// Start an engine.
    Start,
    /// Tell after [`GOODBYE`] that the engine is [`Event::StillThere`].
    AwaitEnd,
    /// Don't.
    AwaitNothing,
    Quit,
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

/// The engine as the shell needs it. What becomes of these wishes is told by events.
pub(crate) trait Engine {
    fn ask(&self, command: Command);
    fn start(&self);
}

/// How far quitting has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quitting {
    Not,
    /// The engine was asked to end.
    Asked,
    /// It did not end, which its owner was told.
    InVain,
}

/// What *Quit* means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quit {
    /// The engine ends too, and all work with it.
    StopsWork,
    /// Only this program ends; the engine is not this user's to end.
    LeavesWork,
    /// No engine runs.
    NothingRuns,
}

#[derive(Debug)]
pub(crate) struct Shell {
    words: Words,
    /// What the engine told last; while `lost`, that is of earlier.
    told: Option<Told>,
    /// Why it tells nothing now.
    lost: Option<Lost>,
    /// What the engine did not do when it was asked last.
    failure: Option<Failure>,
    quitting: Quitting,
    ink: Ink,
    tray_host: bool,
    /// What the tray shows; `None` while nothing does.
    shown: Option<Look>,
    window_ready: bool,
    leaving_without_tray: bool,
}

impl Shell {
    pub(crate) fn new(words: Words, lost: Lost) -> Self {
        Self {
            words,
            told: None,
            lost: Some(lost),
            failure: None,
            quitting: Quitting::Not,
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
            Event::Engine(EngineStatus::Told(told)) => self.told(told),
            Event::Engine(EngineStatus::Lost(lost)) => self.lost(lost),
            Event::Failed(failure) if self.quitting == Quitting::Asked => self.quit_in_vain(failure),
            Event::Ended => vec![Effect::Quit],
            Event::StillThere => self.quit_in_vain(Failure { code: "still_there".into(), said: String::new() }),
            Event::Failed(failure) => {
                self.failure = Some(failure);
                self.view().into_iter().collect()
            }
            Event::Did(action) => self.did(action, now),
            Event::CloseAsked if self.tray_host => vec![Effect::DestroyWindow],
            Event::CloseAsked => self.ask_before_leaving(true),
            Event::WindowGone => {
                self.window_ready = false;
                self.leaving_without_tray = false;
                self.failure = None;
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

    fn told(&mut self, told: Told) -> Vec<Effect> {
        let begins = self.lost.is_some();
        (self.told, self.lost) = (Some(told), None);
        match self.quitting {
            // It was being started when its owner quit.
            Quitting::Asked if begins && self.quit() == Quit::StopsWork => vec![Effect::Ask(Command::Stop)],
            Quitting::Asked if begins => vec![Effect::Quit],
            _ => self.refresh(),
        }
    }

    fn lost(&mut self, lost: Lost) -> Vec<Effect> {
        let none_was_started = self.begins() && !lost.code.begins();
        if self.quitting == Quitting::Asked && none_was_started {
            return vec![Effect::Quit];
        }
        if self.lost.as_ref() == Some(&lost) {
            return Vec::new();
        }
        self.lost = Some(lost);
        if self.quitting == Quitting::Asked { Vec::new() } else { self.refresh() }
    }

    /// Nothing shows tray icons now.
    fn without_tray(&mut self) {
        self.tray_host = false;
        self.shown = None;
    }

    fn did(&mut self, action: Action, now: &Zoned) -> Vec<Effect> {
        self.failure = None;
        match action {
            Action::Pause(choice) => vec![Effect::Ask(Command::Pause { seconds: choice.seconds(now) })],
            Action::Finish => vec![Effect::Ask(Command::Finish)],
            Action::Resume => vec![Effect::Ask(Command::Resume)],
            Action::Start => vec![Effect::Start],
            Action::Open => vec![Effect::OpenWindow],
            Action::Close => vec![Effect::DestroyWindow],
            Action::Stay => self.ask_before_leaving(false),
            Action::Quit if self.quitting != Quitting::Not || self.quit() != Quit::StopsWork => vec![Effect::Quit],
            Action::Quit => {
                self.quitting = Quitting::Asked;
                let mut effects = vec![Effect::DestroyWindow, Effect::AwaitEnd];
                if !self.begins() {
                    effects.push(Effect::Ask(Command::Stop));
                }
                effects.extend(self.tray());
                effects
            }
        }
    }

    /// The engine goes on. Its owner is told, and the next *Quit* only closes this program.
    fn quit_in_vain(&mut self, failure: Failure) -> Vec<Effect> {
        self.quitting = Quitting::InVain;
        self.failure = Some(failure);
        [Effect::AwaitNothing, Effect::OpenWindow].into_iter().chain(self.refresh()).collect()
    }

    fn ask_before_leaving(&mut self, ask: bool) -> Vec<Effect> {
        self.leaving_without_tray = ask;
        self.view().into_iter().collect()
    }

    fn refresh(&mut self) -> Vec<Effect> {
        self.tray().into_iter().chain(self.view()).collect()
    }

    /// What the engine says now, or why it says nothing.
    fn now(&self) -> Result<&Snapshot, Lost> {
        if self.quitting == Quitting::Asked {
            return Err(LostCode::Stopping.into());
        }
        match (&self.lost, &self.told) {
            (None, Some(told)) => Ok(&told.snapshot),
            (lost, _) => Err(lost.clone().unwrap_or(LostCode::Connecting.into())),
        }
    }

    /// An engine is being started, and is stopped as soon as it answers.
    fn begins(&self) -> bool {
        self.lost.as_ref().is_some_and(|lost| lost.code.begins())
    }

    fn quit(&self) -> Quit {
        match (&self.told, &self.lost) {
            _ if self.begins() && self.quitting != Quitting::InVain => Quit::StopsWork,
            (_, Some(lost)) if lost.code != LostCode::Stuck => Quit::NothingRuns,
            _ if self.quitting == Quitting::InVain => Quit::LeavesWork,
            (Some(told), _) if told.may(Command::Stop) && told.host != Host::System => Quit::StopsWork,
            _ => Quit::LeavesWork,
        }
    }

    fn skew(&self) -> Option<Skew> {
        self.told.as_ref().and_then(|told| Skew::of(&told.hello, env!("CARGO_PKG_VERSION")))
    }

    /// Whether the engine lets this user pause it.
    fn may_pause(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.may(Command::Resume))
    }

    fn tray(&mut self) -> Option<Effect> {
        let (skew, may_pause) = (self.skew().map(|skew| skew.code), self.may_pause());
        let now = self.now().map(|snapshot| tray::Now { snapshot, skew, may_pause });
        let look = tray::look(now, self.quit(), self.ink, &self.words);
        if !self.tray_host || self.shown.as_ref() == Some(&look) {
            return None;
        }
        self.shown = Some(look.clone());
        Some(Effect::Tray(look))
    }

    fn view(&self) -> Option<Effect> {
        self.window_ready.then(|| Effect::Show(Box::new(self.whole_view())))
    }

    fn whole_view(&self) -> View {
        View {
            snapshot: self.told.as_ref().map(|told| (*told.snapshot).clone()),
            lost: self.now().err(),
            skew: self.skew(),
            failure: self.failure.clone(),
            may_pause: self.may_pause(),
            quit_stops_work: self.quit() == Quit::StopsWork,
            leaving_without_tray: self.leaving_without_tray,
        }
    }
}

/// Obeys the shell until it quits.
pub(crate) async fn run(
    mut shell: Shell,
    mut desktop: impl Desktop,
    engine: impl Engine,
    mut events: mpsc::UnboundedReceiver<Event>,
) {
    let mut patience: Option<Instant> = None;
    loop {
        let event = tokio::select! {
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => Event::StillThere,
            event = events.recv() => match event {
                Some(event) => event,
                None => return,
            },
        };
        for effect in shell.on(event, &Zoned::now()) {
            match effect {
                Effect::Tray(look) if !desktop.tray(&look) => shell.without_tray(),
                Effect::Tray(_) => {}
                Effect::Dark(dark) => desktop.dark(dark),
                Effect::OpenWindow => desktop.open_window(),
                Effect::DestroyWindow => desktop.destroy_window(),
                Effect::Show(view) => desktop.show(*view),
                Effect::Ask(command) => engine.ask(command),
                Effect::Start => engine.start(),
                Effect::AwaitEnd => patience = Some(Instant::now() + GOODBYE),
                Effect::AwaitNothing => patience = None,
                Effect::Quit => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
