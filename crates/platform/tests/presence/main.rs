//! Presence through its public door, on real parts: an X server with real input events, a Wayland compositor that
//! speaks ext-idle-notify, message buses with the services of GNOME and of logins on them, pseudo terminals. Each with
//! its failure.
//!
//! Each test makes surroundings of its own: nothing that happens on the machine is seen.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod bus;
mod compositor;
mod headless;
mod late_session;
mod logind;
mod mutter;
mod program;
mod silence;
mod terminals;
mod wayland;
mod x11;

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use surge_platform::presence::{Presence, Surroundings, Watcher};

/// A hang's bound: ten times what the slowest step takes on a machine that does nothing else, and more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The threshold of the tests.
const AWAY: Duration = Duration::from_secs(1);

/// A running watcher and what it told.
struct Watched {
    watcher: Watcher,
    changes: Receiver<Presence>,
}

impl Watched {
    fn start(around: &Surroundings) -> Self {
        let (sender, changes) = mpsc::channel();
        let watcher = Watcher::start_in(around, AWAY, move |presence| {
            // The receiver lives as long as the watcher.
            let _ = sender.send(presence);
        });
        Self { watcher: watcher.unwrap(), changes }
    }

    fn next(&self) -> Presence {
        self.changes.recv_timeout(PATIENCE).expect("the next change")
    }

    /// The next change is to *active*: what ends idleness must not be passed over.
    fn becomes_active(&self) {
        assert_eq!(self.next(), Presence::Active);
    }

    /// Waits until the owner is away. On the way there a loaded machine may find a source silent.
    fn becomes_idle(&self) {
        while !matches!(self.next(), Presence::IdleSince(_)) {}
    }

    fn becomes_other_user(&self) {
        while self.next() != Presence::OtherUser {}
    }

    /// Waits until presence is unknown for a reason that contains `word`.
    fn becomes_unknown(&self, word: &str) {
        loop {
            match self.next() {
                Presence::Unknown(why) if why.contains(word) => return,
                _ => {}
            }
        }
    }

    fn says_nothing_new(&self) {
        assert_eq!(self.changes.try_recv().ok(), None);
    }
}
