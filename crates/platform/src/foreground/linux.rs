//! Linux: each sign from where it shows first. Windows by X11 alone: Wayland tells nobody about other programs' windows,
//! so that there a film is known by its inhibitor and a game by its controller.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Told;
use crate::conditions::{Foreground, Reading, Use};

mod call;
mod excluded;
mod gamepad;
pub(crate) mod inhibitors;
mod lid;
pub(crate) mod lock;
mod sound;
mod windows;

/// Looks at everything that tells of a use.
#[derive(Debug)]
pub(crate) struct Watch {
    windows: windows::Windows,
    gamepads: gamepad::Gamepads,
    sound: sound::Sound,
    /// When all was known for the last time.
    whole: Instant,
}

impl Watch {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new() -> Self {
        Self {
            windows: windows::Windows::new(),
            gamepads: gamepad::Gamepads::new(),
            sound: sound::Sound::new(),
            whole: Instant::now(),
        }
    }

    /// Looks. A controller that was moved less than `idle_after` ago is in use, as a keyboard is.
    pub(crate) fn read(
        &mut self,
        excluded: &BTreeSet<String>,
        idle_after: Duration,
        told: &Told,
    ) -> Reading<Foreground> {
        let mut uses: Vec<Use> = told.inhibitors.iter().cloned().map(Use::Inhibited).collect();
        uses.extend(self.windows.full_screen().into_iter().map(Use::FullScreen));
        let recorders = self.sound.recorders();
        uses.extend(call::running(recorders.is_some()).map(Use::Call));
        uses.extend(recorders.into_iter().flatten().map(Use::Call));
        uses.extend(self.gamepads.moved_within(idle_after).map(Use::Gamepad));
        let foreground = Foreground {
            uses,
            excluded: excluded::running(excluded),
            locked: told.locked,
            lid_shut: lid::shut().or(told.lid_shut).unwrap_or(false),
        };
        if !told.stale {
            self.whole = Instant::now();
        }
        Reading::new(foreground, self.windows.source(), self.whole)
    }

    /// Returns when a controller was moved or plugged in, and when somebody begins or ends to record.
    pub(crate) async fn stirred(&mut self) {
        tokio::select! {
            () = self.gamepads.stirred() => {}
            () = self.sound.stirred() => {}
        }
    }
}
