//! Everything that is known of this computer, read at a slow pace and delivered as one whole value.
//!
//! Presence comes straight from its watcher's thread, since its change is what stops work: nothing that reads can hold
//! it up. All else is renewed by one thread that sleeps until something happens or its time has come. A change *to*
//! idleness waits for that thread's next round, so that no work starts beside a film that began since the last one.
//!
//! What is read from files and from the X server may hang. It is read by a thread that is given up when it does: the
//! first conditions come within a few seconds, whatever hangs.
//!
//! Deliberately absent: decisions.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::conditions::Conditions;
use crate::disturbance::asleep_so_far;
use crate::presence::{SessionReport, Sessions, Source, Surroundings, Watcher};

mod files;
mod renew;
mod session;
mod shared;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as os;

use renew::{Readers, renew};
pub use session::SessionWatch;
use shared::{Shared, State, nothing_yet};

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where presence comes from.
    pub source: Source,
    /// Time without input after which the owner counts as away.
    pub idle_after: Duration,
    /// Programs that are looked for, by name.
    pub excluded: BTreeSet<String>,
}

/// How often to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nothing runs, and for a while: every ten seconds.
    Held,
    /// Nothing runs, and something may at any moment: every four, and presence is confirmed every two.
    Waiting,
    /// Work runs: every two, and the sources of presence that have to be asked as often as it takes to yield.
    Running,
}

/// Reads until dropped.
#[derive(Debug)]
pub struct Sensors {
    shared: Arc<Shared>,
}

impl Sensors {
    /// Starts to read. `on_change` gets the first conditions when all has been read once, then a whole new value with
    /// each change of presence and each renewal. It is called from two threads, one at a time: it must be quick, and may
    /// call [`Self::pace`] but not [`Self::want`].
    ///
    /// # Errors
    /// When the threads can't be started. What can't be read is unknown instead.
    pub fn start(wanted: Wanted, on_change: impl Fn(Conditions) + Send + 'static) -> io::Result<Self> {
        Self::start_in(&Surroundings::here(), wanted, on_change)
    }

    /// The same with what is around in `around` instead of what the environment says.
    ///
    /// # Errors
    /// When the threads can't be started.
    pub fn start_in(
        around: &Surroundings,
        wanted: Wanted,
        on_change: impl Fn(Conditions) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_watching(around, wanted, false, on_change)
    }

    /// The same without terminals and other sessions.
    fn start_display_alone(
        around: &Surroundings,
        wanted: Wanted,
        on_change: impl Fn(Conditions) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_watching(around, wanted, true, on_change)
    }

    fn start_watching(
        around: &Surroundings,
        wanted: Wanted,
        display_alone: bool,
        on_change: impl Fn(Conditions) + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared {
            around: around.clone(),
            display_alone,
            wake_up: Arc::new(Notify::new()),
            fast: AtomicBool::new(false),
            running: AtomicBool::new(false),
            watcher: Mutex::new(None),
            state: Mutex::new(State {
                wanted: Arc::new(wanted.clone()),
                generation: 0,
                shown: nothing_yet(),
                pending: None,
                readings: None,
                sessions: Sessions::default(),
                disturbed: None,
                on_change: Box::new(on_change),
                stopped: false,
            }),
        });
        let sensors = Self { shared };
        let readers = {
            let _inside = runtime.enter();
            Readers::new(around, &sensors.shared)?
        };
        sensors.shared.watch(&wanted)?;
        let shared = Arc::clone(&sensors.shared);
        std::thread::Builder::new().name("sensors".into()).spawn(move || renew(&shared, readers, &runtime))?;
        Ok(sensors)
    }

    /// Looks for something else from now on. Presence is unknown until its new source has spoken.
    ///
    /// # Errors
    /// When the watching thread can't be started; presence stays unknown then.
    pub fn want(&self, wanted: Wanted) -> io::Result<()> {
        let before = std::mem::replace(&mut self.shared.state().wanted, Arc::new(wanted.clone()));
        let same = before.source == wanted.source && before.idle_after == wanted.idle_after;
        let watched = if same { Ok(()) } else { self.shared.watch(&wanted) };
        self.shared.wake_up.notify_one();
        watched
    }

    /// How often to read from now on. What was slow reads at once.
    pub fn pace(&self, pace: Pace) {
        let (fast, running) = (pace != Pace::Held, pace == Pace::Running);
        if self.shared.running.swap(running, Ordering::AcqRel) != running
            && let Some(watcher) = self.shared.watcher()
        {
            watcher.look_closely(running);
        }
        if !self.shared.fast.swap(fast, Ordering::AcqRel) && fast {
            self.shared.wake_up.notify_one();
        }
    }

    /// Time since the last input that is known of; for showing, not for deciding.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.shared.watcher()?.idle()
    }

    /// The source of presence in one word.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.shared.source()
    }

    /// Takes what the reporter of a session says: at once at input, each second while the session is idle. `session` is
    /// the login service's id of the session that the reporter's process belongs to. Only [`Source::Sessions`] listens.
    pub fn session_report(&self, session: &str, report: SessionReport) {
        let changed = {
            let mut state = self.shared.state();
            let before = state.sessions.foreground();
            state.sessions.report(session.to_owned(), report.clone(), Instant::now(), asleep_so_far());
            state.sessions.foreground() != before
        };
        self.tell(changed, |watcher| watcher.session_report(session.to_owned(), report));
    }

    /// The reporter of a session is gone: it was killed, or its session has ended. The session counts as used until its
    /// reporter is back, or until it is known to have ended.
    pub fn session_lost(&self, session: &str) {
        self.shared.state().sessions.lost(session);
        self.tell(true, |watcher| watcher.session_lost(session.to_owned()));
    }

    /// A session has ended. Where there is a login service this is known without being told.
    pub fn session_ended(&self, session: &str) {
        self.shared.state().sessions.ended(session);
        self.tell(true, |watcher| watcher.session_ended(session.to_owned()));
    }

    /// Tells the watcher, after whoever uses the session without touching it is known: idleness must not go out before.
    fn tell(&self, foreground_changed: bool, word: impl FnOnce(&Watcher)) {
        if foreground_changed {
            self.shared.state().deliver();
        }
        if let Some(watcher) = self.shared.watcher() {
            word(&watcher);
        }
    }
}

impl Drop for Sensors {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.wake_up.notify_one();
        let watcher = self.shared.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(watcher);
    }
}
