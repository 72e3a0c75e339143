//! Linux: each sign from where it shows first. Windows by X11 alone: Wayland tells nobody about other programs' windows,
//! so that there a film is known by its inhibitor and a game by its controller.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::ServiceFacts;
use crate::conditions::{Foreground, Use};
use crate::patience::Reader;
use crate::surroundings::Surroundings;

mod call;
mod excluded;
mod gamepad;
pub(crate) mod inhibitors;
mod lid;
pub(crate) mod screen_lock;
mod sound;
mod x11_windows;

/// What is known of uses without a question: who records, and whose hand moves a controller.
#[derive(Debug)]
pub(crate) struct Watch {
    gamepads: gamepad::Gamepads,
    sound: sound::Sound,
}

impl Watch {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(around: &Surroundings) -> Self {
        Self { gamepads: gamepad::Gamepads::new(), sound: sound::Sound::new(around.sound_server.clone()) }
    }

    /// What is to be read from files for [`Self::read`].
    pub(crate) fn question(&mut self, around: &Surroundings, excluded: &BTreeSet<String>) -> Question {
        Question {
            around: around.clone(),
            excluded: excluded.clone(),
            sound_served: self.sound.recorders().is_some(),
            gamepads_beside: self.gamepads.look_beside(),
        }
    }

    /// Everybody who uses this computer now. A controller that was moved less than `idle_after` ago is in use, as a
    /// keyboard is. Must be called inside a tokio runtime.
    pub(crate) fn read(&mut self, seen: &mut Seen, idle_after: Duration, told: &ServiceFacts) -> Foreground {
        if let Some(found) = seen.gamepads.take() {
            self.gamepads.add(found);
        }
        let mut uses: Vec<Use> = told.inhibitors.iter().cloned().map(Use::Inhibited).collect();
        uses.extend(seen.full_screen.iter().cloned().map(Use::FullScreen));
        uses.extend(seen.call.iter().cloned().map(Use::Call));
        uses.extend(self.sound.recorders().into_iter().flatten().map(Use::Call));
        uses.extend(self.gamepads.moved_within(idle_after).map(Use::Gamepad));
        Foreground {
            uses,
            excluded: seen.excluded.clone(),
            locked: told.locked,
            lid_shut: seen.lid_shut.or(told.lid_shut).unwrap_or(false),
        }
    }

    /// Returns when a controller was moved or plugged in, and when somebody begins or ends to record.
    pub(crate) async fn stirred(&mut self) {
        tokio::select! {
            () = self.gamepads.stirred() => {}
            () = self.sound.stirred() => {}
        }
    }
}

/// What the readers of files need to know.
#[derive(Debug)]
pub(crate) struct Question {
    around: Surroundings,
    /// Programs that are looked for.
    excluded: BTreeSet<String>,
    /// A sound server says who records, so that its own streams say nothing more.
    sound_served: bool,
    /// The controllers that are watched; `None` while it isn't time to look for others.
    gamepads_beside: Option<HashSet<PathBuf>>,
}

/// What was read from files and from the X server.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    lid_shut: Option<bool>,
    /// The program that records by a sound card of its own.
    call: Option<String>,
    excluded: BTreeSet<String>,
    full_screen: Vec<String>,
    x11: bool,
    /// What a look for controllers has found since the last time; `None` where nobody looked.
    gamepads: Option<Vec<gamepad::Found>>,
}

impl Seen {
    /// Where windows are seen, in one word.
    pub(crate) const fn source(&self) -> &'static str {
        if self.x11 { "x11" } else { "system" }
    }
}

/// The reader of windows, which is asked only where a display is wanted.
pub(crate) const WINDOWS: &str = "windows";

/// Makes a reader, under the name that the log shows.
type Named = (&'static str, fn() -> FileReader);

/// Everything that has to be read.
pub(crate) fn kinds() -> [Named; 5] {
    [
        ("lid", || {
            Box::new(|_| {
                let lid_shut = lid::shut();
                Box::new(move |seen| seen.lid_shut = lid_shut)
            })
        }),
        ("sound-cards", || {
            Box::new(|question| {
                let call = call::running(question.sound_served);
                Box::new(move |seen| seen.call = call)
            })
        }),
        ("programs", || {
            Box::new(|question| {
                let excluded = excluded::running(&question.excluded);
                Box::new(move |seen| seen.excluded = excluded)
            })
        }),
        ("controllers", || {
            Box::new(|question| {
                let found = question.gamepads_beside.as_ref().map(gamepad::find);
                Box::new(move |seen| seen.gamepads = found)
            })
        }),
        (WINDOWS, || {
            let mut windows = None;
            Box::new(move |question| {
                let windows = windows.get_or_insert_with(|| x11_windows::Windows::new(&question.around));
                let (full_screen, x11) = (windows.full_screen(), windows.is_connected());
                Box::new(move |seen| (seen.full_screen, seen.x11) = (full_screen, x11))
            })
        }),
    ]
}

/// One that reads for the foreground.
pub(crate) type FileReader = Reader<Question, Seen>;
