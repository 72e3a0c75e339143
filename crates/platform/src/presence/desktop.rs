//! The display of this session: which protocol to speak with it, and its coming back after it went away.
//!
//! One thread, which waits for whichever display it watches. No wait for an answer is without end.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use thiserror::Error;

use super::combine::{Display as Word, Report};
use super::mutter::{self, MutterError};
use super::watcher_thread::Reports;
use super::wayland::{self, WaylandError};
use super::x11;
use crate::displays::{self, Display, Displays};
use crate::surroundings::Surroundings;
use crate::x11::X11Error;

/// How often an idle display is asked to confirm that it is there: three times before its word is stale.
pub(super) const CONFIRM: Duration = Duration::from_secs(1);

/// How long to wait before trying a display again that failed: at first, and at most.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);
/// How often to see whether somebody names the session's display by now, while the one that is watched was guessed.
const GUESS_AGAIN: Duration = Duration::from_secs(10);

/// Why a source ended without an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was told to.
    Stopped,
    /// Another display is the session's.
    Outdated,
    /// This compositor does not speak ext-idle-notify.
    NoNotifier,
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Ready,
    Timeout,
    Stopped,
    /// Another display is the session's.
    Outdated,
    /// Somebody wants to see the idle time.
    Asked,
}

/// What ties a source to the rest: where it reports to, and where it is asked and stopped.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) reports: Reports,
    asks: UnixStream,
    guess: RefCell<Option<Guess>>,
}

/// What was found when nobody named the session's display, and when to look again.
#[derive(Debug)]
struct Guess {
    around: Surroundings,
    found: Displays,
    check_at: Instant,
}

impl Guess {
    /// Whether something else is found now. Asked when that is due.
    fn is_outdated(&mut self) -> bool {
        self.check_at = Instant::now() + GUESS_AGAIN;
        displays::find(&self.around) != self.found
    }
}

/// The asking end. Dropping it ends the source.
#[derive(Debug)]
pub(super) struct Bell(UnixStream);

impl Bell {
    pub(super) fn new(reports: Reports) -> io::Result<(Self, Wire)> {
        let (bell, asks) = UnixStream::pair()?;
        for end in [&bell, &asks] {
            end.set_nonblocking(true)?;
        }
        Ok((Self(bell), Wire { reports, asks, guess: RefCell::new(None) }))
    }

    /// Asks for the idle time, to be shown.
    pub(super) fn ring(&self) {
        // A full pipe has rung already.
        let _ = (&self.0).write(&[1]);
    }
}

impl Wire {
    /// Sleeps until `source` is ready, somebody rings or stops, or the time is over.
    pub(super) fn wait(&self, source: PollFd<'_>, time: Option<Duration>) -> Result<Wake, Errno> {
        self.sleep(Some(source), time)
    }

    /// A copy for a source that waits with tokio.
    pub(super) fn asks(&self) -> io::Result<UnixStream> {
        self.asks.try_clone()
    }

    /// The same where there may be nothing to wait for but the bell.
    pub(super) fn sleep(&self, source: Option<PollFd<'_>>, time: Option<Duration>) -> Result<Wake, Errno> {
        let asks = PollFd::from_borrowed_fd(self.asks.as_fd(), PollFlags::IN);
        let mut all: Vec<_> = source.into_iter().chain([asks]).collect();
        let until = time.map(|time| Instant::now() + time);
        loop {
            let mut guess = self.guess.borrow_mut();
            let check_at = guess.as_ref().map(|guess| guess.check_at);
            let next = [until, check_at].into_iter().flatten().min();
            let timeout = next.map(|next| timespec(next.saturating_duration_since(Instant::now())));
            match poll(&mut all, timeout.as_ref()) {
                Err(Errno::INTR) => return Ok(Wake::Ready),
                Err(error) => return Err(error),
                Ok(0) => {}
                Ok(_) => break,
            }
            if let Some(guess) = guess.as_mut().filter(|guess| Instant::now() >= guess.check_at)
                && guess.is_outdated()
            {
                return Ok(Wake::Outdated);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Wake::Timeout);
            }
        }
        // What ends idleness comes first.
        if all.len() == 2 && !all[0].revents().is_empty() {
            return Ok(Wake::Ready);
        }
        Ok(match (&self.asks).read(&mut [0; 64]) {
            Ok(0) => Wake::Stopped,
            Ok(_) => Wake::Asked,
            Err(_) => Wake::Ready,
        })
    }

    /// Whether nobody holds the bell any more.
    pub(super) fn is_stopped(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        matches!(recv(&self.asks, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((0, _)))
    }

    /// Whether it was stopped within `time`.
    fn stopped_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match self.sleep(None, Some(until.saturating_duration_since(Instant::now()))) {
                Ok(Wake::Timeout) => return false,
                Ok(Wake::Stopped) | Err(_) => return true,
                Ok(Wake::Ready | Wake::Asked | Wake::Outdated) => {}
            }
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: i64::from(time.subsec_nanos()) }
}

#[derive(Debug, Error)]
enum DesktopError {
    #[error("the display {0} {1}")]
    X11(String, #[source] X11Error),
    #[error("the compositor {0} {1}")]
    Wayland(String, #[source] WaylandError),
    #[error("the compositor {0} tells no idle time: it has neither ext-idle-notify-v1 nor GNOME's idle monitor ({1})")]
    NoWay(String, #[source] Box<MutterError>),
    #[error("the compositor {0} tells no idle time: {1}")]
    Mutter(String, #[source] Box<MutterError>),
}

/// Watches the session's display until stopped, whatever happens to it.
pub(super) fn watch(around: &Surroundings, idle_after: Duration, wire: &Wire) {
    let mut pause = RETRY;
    loop {
        let started = Instant::now();
        let found = displays::find(around);
        *wire.guess.borrow_mut() = matches!(found, Displays::Guessed(_)).then(|| Guess {
            around: around.clone(),
            found: found.clone(),
            check_at: Instant::now() + GUESS_AGAIN,
        });
        match found.candidates() {
            Err(why) => {
                wire.reports.name("none");
                wire.reports.send(Report::Display(Word::Absent(why.into())));
            }
            Ok(candidates) => match first_that_tells(&candidates, around, idle_after, wire) {
                Ok(Outcome::Stopped) => return,
                Ok(Outcome::Outdated | Outcome::NoNotifier) => {}
                Err(error) => {
                    let why = error.to_string();
                    tracing::debug!(error = why, retry_in = ?pause, "the display can't be watched");
                    wire.reports.send(Report::Display(Word::Failed(why)));
                }
            },
        }
        // One that worked for a while is back soon; one that never does is not worth waking for.
        pause = if started.elapsed() > RETRY_AT_MOST { RETRY } else { pause };
        if wire.stopped_within(pause) {
            return;
        }
        pause = (pause * 2).min(RETRY_AT_MOST);
    }
}

/// Watches the first display that can be watched, until it fails. Where none can, the error is the first one's.
fn first_that_tells(
    candidates: &[Display],
    around: &Surroundings,
    idle_after: Duration,
    wire: &Wire,
) -> Result<Outcome, DesktopError> {
    let mut first = None;
    for display in candidates {
        let started = Instant::now();
        let watched = match display {
            Display::X11(display) => {
                x11::watch(display, idle_after, wire).map_err(|error| DesktopError::X11(display.name.clone(), error))
            }
            Display::Wayland(socket) => by_wayland(around, socket, idle_after, wire),
        };
        match watched {
            // It was watched, and broke.
            Err(error) if started.elapsed() > RETRY_AT_MOST => return Err(error),
            Err(error) => first = first.or(Some(error)),
            outcome => return outcome,
        }
    }
    first.map_or(Ok(Outcome::Outdated), Err)
}

fn by_wayland(
    around: &Surroundings,
    socket: &Path,
    idle_after: Duration,
    wire: &Wire,
) -> Result<Outcome, DesktopError> {
    let name = || socket.file_name().unwrap_or(socket.as_os_str()).to_string_lossy().into_owned();
    match wayland::watch(socket, idle_after, wire).map_err(|error| DesktopError::Wayland(name(), error))? {
        Outcome::NoNotifier => match mutter::watch(around.session_bus().as_deref(), idle_after, wire) {
            Ok(outcome) => Ok(outcome),
            Err(error) if error.is_absence() => Err(DesktopError::NoWay(name(), error.into())),
            Err(error) => Err(DesktopError::Mutter(name(), error.into())),
        },
        outcome => Ok(outcome),
    }
}
