//! What is known, held for the two threads that learn it: the watcher of presence and the one that reads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::Wanted;
use crate::conditions::{Conditions, Disturbance, Foreground, Network, Power, Reading, Thermal};
use crate::load::Load;
use crate::presence::{Presence, Sessions, Source, Surroundings, Watcher};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) around: Surroundings,
    /// Presence is that at this session's display alone.
    pub(super) display_alone: bool,
    pub(super) wake_up: Arc<Notify>,
    pub(super) fast: AtomicBool,
    pub(super) running: AtomicBool,
    pub(super) watcher: Mutex<Option<Arc<Watcher>>>,
    /// Held while values are moved and while `on_change` is called, never while something is read.
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) wanted: Arc<Wanted>,
    /// Counts watchers: what an old one still says does not matter.
    pub(super) generation: u64,
    pub(super) shown: Presently,
    /// Idleness that waits for a round that began after it.
    pub(super) pending: Option<Presently>,
    pub(super) readings: Option<Readings>,
    /// What the reporters of sessions said, for an engine that belongs to no session.
    pub(super) sessions: Sessions,
    pub(super) disturbed: Option<(Disturbance, Instant)>,
    pub(super) on_change: Box<dyn Fn(Conditions) + Send>,
    pub(super) stopped: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("wanted", &self.wanted).field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// Presence, who said it, and when it was said or confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Presently {
    pub(super) presence: Presence,
    pub(super) source: &'static str,
    pub(super) at: Instant,
}

pub(super) fn nothing_yet() -> Presently {
    let presence = Presence::Unknown("the source of presence has not spoken yet".into());
    Presently { presence, source: "none", at: Instant::now() }
}

/// All but presence.
#[derive(Debug, Clone)]
pub(super) struct Readings {
    pub(super) power: Reading<Power>,
    pub(super) thermal: Reading<Thermal>,
    pub(super) load: Reading<Load>,
    pub(super) foreground: Reading<Foreground>,
    pub(super) network: Reading<Network>,
}

impl State {
    pub(super) fn deliver(&self) {
        let Some(Readings { power, thermal, load, mut foreground, network }) = self.readings.clone() else { return };
        if self.stopped {
            return;
        }
        let presence = Reading::new(self.shown.presence.clone(), self.shown.source, self.shown.at);
        if matches!(self.wanted.source, Source::Sessions { .. }) {
            let of_sessions = self.sessions.foreground();
            foreground.value.uses.extend(of_sessions.uses);
            foreground.value.locked |= of_sessions.locked;
        }
        let disturbed = self.disturbed;
        (self.on_change)(Conditions { presence, power, thermal, load, foreground, network, disturbed });
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watcher(&self) -> Option<Arc<Watcher>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The source of presence in one word.
    pub(super) fn source(&self) -> &'static str {
        self.watcher().map_or("none", |watcher| watcher.source())
    }

    /// Replaces the watcher of presence.
    pub(super) fn watch(self: &Arc<Self>, wanted: &Wanted) -> io::Result<()> {
        let generation = {
            let mut state = self.state();
            state.generation += 1;
            (state.shown, state.pending) = (nothing_yet(), None);
            state.sessions = Sessions::default();
            state.deliver();
            state.generation
        };
        let shared = Arc::downgrade(self);
        let on_change = move |presence| {
            if let Some(shared) = shared.upgrade() {
                shared.hear(generation, presence);
            }
        };
        let watcher = if self.display_alone {
            Watcher::start_display(&self.around, wanted.idle_after, on_change)?
        } else {
            Watcher::start_source(&self.around, wanted.source, wanted.idle_after, on_change)?
        };
        let watcher = Arc::new(watcher);
        let old = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(&watcher));
        drop(old);
        // After it is there for `pace` to find, so that neither misses the other's word.
        watcher.look_closely(self.running.load(Ordering::Acquire));
        self.wake_up.notify_one();
        Ok(())
    }

    /// Takes what a watcher says, on its own thread. All but idleness goes out at once.
    pub(super) fn hear(&self, generation: u64, presence: Presence) {
        let source = if presence == Presence::Headless { "headless" } else { self.source() };
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        let said = Presently { presence, source, at: Instant::now() };
        if matches!(said.presence, Presence::IdleSince(_)) {
            state.pending = Some(said);
            drop(state);
            self.wake_up.notify_one();
        } else {
            (state.shown, state.pending) = (said, None);
            state.deliver();
        }
    }

    pub(super) fn disturb(&self, disturbance: Disturbance) {
        tracing::info!(?disturbance, "older readings don't count any more");
        let mut state = self.state();
        state.disturbed = Some((disturbance, Instant::now()));
        state.deliver();
    }
}
