//! The owner's hand: real input where the session takes it, and when it was.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;
use tempfile::TempDir;

use super::login::Login;
use crate::screen::{Screen, Server};

#[path = "../../../crates/platform/tests/presence/compositor.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "it is the compositor of platform's tests, which can do more")]
mod compositor;

use compositor::{Compositor, Event};

/// Where the owner sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Seat {
    /// An X server, and events by its XTEST extension.
    X11,
    /// A compositor without a screen that speaks ext-idle-notify.
    Wayland,
    /// An X server in a login session that the engine does not belong to: it hears of it by the session's reporter.
    Service,
}

/// Real input into a session of its own.
pub struct Hand(Session);

enum Session {
    X11(Box<Screen>),
    Wayland { compositor: Compositor, _folder: TempDir },
    Service { screen: Box<Screen>, login: Login },
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.session()).finish()
    }
}

impl Hand {
    /// # Errors
    /// When there can be no display.
    pub fn at(seat: Seat) -> Result<Self> {
        Ok(Self(match seat {
            Seat::X11 => Session::X11(Box::new(Screen::start()?)),
            Seat::Wayland => {
                let folder = tempfile::tempdir()?;
                let compositor = Compositor::start(folder.path(), Some(2));
                Session::Wayland { compositor, _folder: folder }
            }
            Seat::Service => Session::Service { screen: Box::new(Screen::start()?), login: Login::new()? },
        }))
    }

    /// The X display, where it is one.
    pub(super) fn x11(&self) -> Option<&str> {
        match &self.0 {
            Session::X11(screen) | Session::Service { screen, .. } => Some(&screen.display),
            Session::Wayland { .. } => None,
        }
    }

    /// What the environment of a program in this session says.
    #[must_use]
    pub fn session(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.display().to_string();
        match &self.0 {
            Session::X11(screen) | Session::Service { screen, .. } => {
                vec![("DISPLAY", screen.display.clone()), ("XDG_SESSION_TYPE", "x11".into())]
            }
            Session::Wayland { compositor, .. } => {
                vec![("WAYLAND_DISPLAY", text(&compositor.socket)), ("XDG_SESSION_TYPE", "wayland".into())]
            }
        }
    }

    /// Settings of an engine that is to feel this hand.
    pub(super) const fn limits(&self) -> &'static [&'static str] {
        match &self.0 {
            Session::X11(_) | Session::Wayland { .. } => &[],
            // Without its reporter the session counts as used.
            Session::Service { .. } => &["presence=sessions", "greeter_idle=false"],
        }
    }

    /// Whether an engine belongs to this session itself.
    pub(super) const fn has_engine(&self) -> bool {
        !matches!(&self.0, Session::Service { .. })
    }

    /// Starts the session's reporter to the engine of `home`, where that has no senses of its own in the session.
    ///
    /// # Errors
    /// When it can't be started.
    pub(super) fn reporter(&self, mut surge: Command, home: &Path) -> Result<Option<Server>> {
        let Session::Service { login, .. } = &self.0 else { return Ok(None) };
        surge.args(["session", "--home"]).arg(home).envs(self.session());
        login.start(&surge).map(Some)
    }

    /// One event: the pointer moves, or every other time a key goes down. Returns the instant just before it was sent.
    ///
    /// # Errors
    /// When the display does not answer.
    pub fn touch(&self, number: usize) -> Result<Instant> {
        match &self.0 {
            Session::X11(screen) | Session::Service { screen, .. } => {
                let before = Instant::now();
                if number.is_multiple_of(2) {
                    screen.move_pointer(number)?
                } else {
                    screen.shift(true)?
                }
                Ok(before)
            }
            Session::Wayland { compositor, .. } => {
                let before = Instant::now();
                compositor.tell(Event::Input(0));
                Ok(before)
            }
        }
    }

    /// Lets the key go again.
    ///
    /// # Errors
    /// When the display does not answer.
    pub fn lift(&self) -> Result<()> {
        match &self.0 {
            Session::X11(screen) | Session::Service { screen, .. } => screen.shift(false),
            Session::Wayland { .. } => Ok(()),
        }
    }

    /// A whole stroke of a key.
    pub(super) fn stroke(&self) -> Result<()> {
        match &self.0 {
            Session::X11(screen) | Session::Service { screen, .. } => {
                screen.shift(true).and_then(|()| screen.shift(false))
            }
            Session::Wayland { compositor, .. } => {
                compositor.tell(Event::Input(0));
                Ok(())
            }
        }
    }
}
