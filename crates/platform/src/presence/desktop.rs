//! The display of this session: which protocol to speak with it, and its coming back after it went away.
//!
//! One thread, which waits in whatever protocol speaks here.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use thiserror::Error;

use super::combine::{Display, Report};
use super::linux::Surroundings;
use super::mind::Reports;
use super::mutter::{self, MutterError};
use super::wayland::{self, WaylandError};
use super::x11::{self, X11Error};

/// How often an idle display is asked to confirm that it is there: three times before its word is stale.
pub(super) const CONFIRM: Duration = Duration::from_secs(1);

/// How long to wait before trying a display again that failed: at first, and at most.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);

/// Why a source ended without an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was told to.
    Stopped,
    /// This compositor does not speak ext-idle-notify.
    NoNotifier,
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Ready,
    Timeout,
    Stopped,
    /// Somebody wants to see the idle time.
    Asked,
}

/// What ties a source to the rest: where it reports to, and where it is asked and stopped.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) reports: Reports,
    asks: UnixStream,
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
        Ok((Self(bell), Wire { reports, asks }))
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

    fn sleep(&self, source: Option<PollFd<'_>>, time: Option<Duration>) -> Result<Wake, Errno> {
        let asks = PollFd::from_borrowed_fd(self.asks.as_fd(), PollFlags::IN);
        let mut all: Vec<_> = source.into_iter().chain([asks]).collect();
        let timeout =
            time.map(|time| Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: i64::from(time.subsec_nanos()) });
        match poll(&mut all, timeout.as_ref()) {
            Err(Errno::INTR) => return Ok(Wake::Ready),
            Err(error) => return Err(error),
            Ok(0) => return Ok(Wake::Timeout),
            Ok(_) => {}
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

    /// Whether it was stopped within `time`.
    fn stopped_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match self.sleep(None, Some(until.saturating_duration_since(Instant::now()))) {
                Ok(Wake::Timeout) => return false,
                Ok(Wake::Stopped) | Err(_) => return true,
                Ok(Wake::Ready | Wake::Asked) => {}
            }
        }
    }
}

#[derive(Debug, Error)]
enum DesktopError {
    #[error(transparent)]
    X11(#[from] X11Error),
    #[error(transparent)]
    Wayland(#[from] WaylandError),
    #[error("this compositor tells no idle time: it has neither ext-idle-notify-v1 nor GNOME's idle monitor ({0})")]
    NoWay(#[source] MutterError),
    #[error(transparent)]
    Mutter(MutterError),
}

/// How the display is to be spoken with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Wayland(PathBuf),
    X11(String),
    None(&'static str),
}

/// Watches the display until stopped, whatever happens to it.
pub(super) fn watch(around: &Surroundings, idle_after: Duration, wire: &Wire) {
    let mut pause = RETRY;
    loop {
        let started = Instant::now();
        let ended = match way(around) {
            Way::None(why) => {
                wire.reports.name("none");
                wire.reports.send(Report::Display(Display::Absent(why.into())));
                Ok(Outcome::NoNotifier)
            }
            Way::X11(display) => x11::watch(&display, idle_after, wire).map_err(DesktopError::from),
            Way::Wayland(socket) => by_wayland(around, &socket, idle_after, wire),
        };
        match ended {
            Ok(Outcome::Stopped) => return,
            Ok(Outcome::NoNotifier) => {}
            Err(error) => {
                tracing::warn!(%error, "The display can't be watched");
                wire.reports.send(Report::Display(Display::Failed(error.to_string())));
            }
        }
        // One that worked for a while is back soon; one that never does is not worth waking for.
        pause = if started.elapsed() > RETRY_AT_MOST { RETRY } else { pause };
        if wire.stopped_within(pause) {
            return;
        }
        pause = (pause * 2).min(RETRY_AT_MOST);
    }
}

fn by_wayland(
    around: &Surroundings,
    socket: &Path,
    idle_after: Duration,
    wire: &Wire,
) -> Result<Outcome, DesktopError> {
    match wayland::watch(socket, idle_after, wire)? {
        Outcome::Stopped => Ok(Outcome::Stopped),
        Outcome::NoNotifier => match mutter::watch(around.session_bus.as_deref(), idle_after, wire) {
            Ok(outcome) => Ok(outcome),
            Err(error) if error.is_absence() => Err(DesktopError::NoWay(error)),
            Err(error) => Err(DesktopError::Mutter(error)),
        },
    }
}

fn way(around: &Surroundings) -> Way {
    let socket = |name: &str| around.runtime_dir.as_ref().map(|folder| folder.join(name));
    let wayland_session = around.session_type.as_deref() == Some("wayland");
    match (&around.wayland_display, &around.display) {
        // An absolute name stands for itself.
        (Some(name), _) => socket(name).map_or_else(|| Way::Wayland(name.into()), Way::Wayland),
        (None, Some(display)) if !wayland_session => Way::X11(display.clone()),
        // A user's service starts before its session tells it where the display is.
        (None, _) => match socket("wayland-0").filter(|socket| socket.exists()) {
            Some(socket) => Way::Wayland(socket),
            None if wayland_session => Way::None("this is a Wayland session, and WAYLAND_DISPLAY is not set"),
            None => Way::None("no display, and presence = \"headless\" is not set"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(wayland: Option<&str>, x11: Option<&str>, kind: Option<&str>) -> Surroundings {
        Surroundings {
            wayland_display: wayland.map(Into::into),
            display: x11.map(Into::into),
            session_type: kind.map(Into::into),
            runtime_dir: Some("/nowhere/run".into()),
            ..Surroundings::none()
        }
    }

    #[test]
    fn xwayland_is_never_asked_in_a_wayland_session() {
        let socket = |name: &str| Way::Wayland(name.into());
        assert_eq!(way(&around(Some("wayland-1"), Some(":0"), None)), socket("/nowhere/run/wayland-1"));
        assert_eq!(way(&around(Some("/tmp/w"), Some(":0"), Some("x11"))), socket("/tmp/w"));
        assert!(matches!(way(&around(None, Some(":0"), Some("wayland"))), Way::None(why) if why.contains("Wayland")));
    }

    #[test]
    fn a_service_that_started_before_its_session_finds_the_compositor() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("wayland-0");
        let around = Surroundings { runtime_dir: Some(folder.path().into()), ..Surroundings::none() };
        assert!(matches!(way(&around), Way::None(_)));
        std::fs::write(&socket, "").unwrap();
        assert_eq!(way(&around), Way::Wayland(socket));
    }

    #[test]
    fn an_x11_session_is_asked_by_x11_and_none_by_nothing() {
        assert_eq!(way(&around(None, Some(":0"), Some("x11"))), Way::X11(":0".into()));
        assert_eq!(way(&around(None, Some(":0"), None)), Way::X11(":0".into()));
        assert!(matches!(way(&around(None, None, Some("tty"))), Way::None(why) if why.contains("no display")));
    }
}
