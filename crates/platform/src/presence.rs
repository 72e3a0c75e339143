//! Whether somebody uses this computer.
//!
//! A source reports changes the moment they happen: the event that ends idleness is what stops work. The latest input
//! of all sources counts. What no source can tell is [`Presence::Unknown`], and unknown means that nothing runs.
//!
//! Deliberately absent: presence without input (a film, a call), which is another condition; and decisions. The gate
//! decides.

use std::io;
use std::time::{Duration, Instant};

mod combine;
mod sessions;
mod watcher_thread;

#[cfg(target_os = "linux")]
mod desktop;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod logins;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "linux")]
mod mutter;
#[cfg(unix)]
mod terminals;
#[cfg(target_os = "linux")]
mod typing;
#[cfg(target_os = "linux")]
mod wayland;
#[cfg(windows)]
mod windows;
#[cfg(target_os = "linux")]
mod x11;

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
use macos as os;
#[cfg(windows)]
use windows as os;

use combine::{Heard, Report};

pub use crate::conditions::Presence;
pub use os::Surroundings;
pub(crate) use sessions::Sessions;
pub use sessions::{SessionInput, SessionReport};
use watcher_thread::WatcherThread;

/// How old the idle time that is shown may be before the source is asked again.
const SHOWN_FOR: Duration = Duration::from_secs(5);

/// Which source to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// All that this machine has: its display, its terminals, its login service.
    Auto,
    /// The owner says that nobody sits here. Nothing is watched, and no login counts.
    Headless,
    /// The reporters of this machine's sessions, and its terminals: for an engine that belongs to no session.
    /// `greeter_idle`: while nobody is logged in the machine is idle, else it is in use.
    Sessions { greeter_idle: bool },
}

/// What is watched beside what a source says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// This session's display, all terminals, and which session is in front.
    OwnSession,
    /// This session's display: what a reporter tells the engine.
    DisplayAlone,
    /// All terminals, and which sessions there are.
    AllSessions,
}

/// Watches presence until dropped.
#[derive(Debug)]
pub struct Watcher {
    watching: Option<Watching>,
}

#[derive(Debug)]
struct Watching {
    thread: WatcherThread,
    sources: os::Sources,
    asked: std::sync::Mutex<Option<Instant>>,
}

impl Watcher {
    /// Starts to watch. `on_change` is called from the watcher's own thread: at once with the first reading, then with
    /// every change. `idle_after` is the time without input after which the owner counts as away.
    ///
    /// # Errors
    /// When the watching threads can't be started. A source that fails reports [`Presence::Unknown`] instead.
    pub fn start(
        source: Source,
        idle_after: Duration,
        on_change: impl Fn(Presence) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_source(&Surroundings::here(), source, idle_after, on_change)
    }

    /// Starts to watch what is around in `around` instead of what the environment says.
    ///
    /// # Errors
    /// When the watching threads can't be started.
    pub fn start_in(
        around: &Surroundings,
        idle_after: Duration,
        on_change: impl Fn(Presence) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_source(around, Source::Auto, idle_after, on_change)
    }

    /// Starts to watch `source` in `around`.
    pub(crate) fn start_source(
        around: &Surroundings,
        source: Source,
        idle_after: Duration,
        on_change: impl Fn(Presence) + Send + 'static,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let (watched, heard) = match source {
            Source::Headless => {
                on_change(Presence::Headless);
                return Ok(Self { watching: None });
            }
            Source::Auto => (Watched::OwnSession, Heard::new(idle_after, os::LOOKS, now)),
            Source::Sessions { greeter_idle } => {
                (Watched::AllSessions, Heard::of_sessions(idle_after, os::LOOKS, greeter_idle, now))
            }
        };
        Self::start_watching(around, watched, heard, idle_after, on_change)
    }

    /// Starts to watch this session's display and nothing else.
    pub(crate) fn start_display(
        around: &Surroundings,
        idle_after: Duration,
        on_change: impl Fn(Presence) + Send + 'static,
    ) -> io::Result<Self> {
        let heard = Heard::new(idle_after, os::LOOKS, Instant::now());
        Self::start_watching(around, Watched::DisplayAlone, heard, idle_after, on_change)
    }

    fn start_watching(
        around: &Surroundings,
        watched: Watched,
        heard: Heard,
        idle_after: Duration,
        on_change: impl Fn(Presence) + Send + 'static,
    ) -> io::Result<Self> {
        let name = if watched == Watched::AllSessions { "sessions" } else { "none" };
        let (reports, inbox) = watcher_thread::reports(name);
        let sources = os::Sources::start(around, idle_after, watched, &reports)?;
        let ask = os::ask(around, idle_after, watched, &reports)?;
        let thread = WatcherThread::start(reports, inbox, heard, ask, on_change)?;
        Ok(Self { watching: Some(Watching { thread, sources, asked: std::sync::Mutex::default() }) })
    }

    /// Takes what the reporter of a session says. Only [`Source::Sessions`] listens.
    pub(crate) fn session_report(&self, session: String, report: SessionReport) {
        self.tell(Report::Reported(session, report));
    }

    /// The reporter of a session is gone.
    pub(crate) fn session_lost(&self, session: String) {
        self.tell(Report::ReporterLost(session));
    }

    /// A session has ended.
    pub(crate) fn session_ended(&self, session: String) {
        self.tell(Report::SessionEnded(session));
    }

    fn tell(&self, report: Report) {
        if let Some(watching) = &self.watching {
            watching.thread.report(report);
        }
    }

    /// Whether something runs that must stop at once. While nothing does, sources that have to be asked are asked less
    /// often.
    pub fn look_closely(&self, close: bool) {
        if let Some(watching) = &self.watching {
            watching.thread.look_closely(close);
        }
    }

    /// The source in use now, in one word: `x11`, `wayland`, `mutter`, `tty`, `sessions`, `windows`,
    /// `macos`, `headless`, `none`.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.watching.as_ref().map_or("headless", |watching| watching.thread.source())
    }

    /// Time since the last input that is known of; for showing, not for deciding. Never waits for a source: where one
    /// has to be asked, what it answers is told by a later call.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        let watching = self.watching.as_ref()?;
        if watching.thread.is_idle() {
            return watching.thread.idle();
        }
        let mut asked = watching.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if asked.is_none_or(|asked| asked.elapsed() >= SHOWN_FOR) {
            *asked = Some(Instant::now());
            watching.sources.refresh();
        }
        watching.thread.idle()
    }
}
