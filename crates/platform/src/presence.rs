//! Whether somebody uses this computer.
//!
//! A source reports changes the moment they happen: the event that ends idleness is what stops work. What no source
//! can tell is [`Presence::Unknown`], and unknown means that nothing runs. This module never decides; the gate does.

use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
mod x11;

/// What a source says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Input came less than the threshold ago.
    Active,
    /// No input since this instant, which is at least the threshold ago.
    IdleSince(Instant),
    /// The owner declared that nobody sits at this machine.
    Headless,
    /// Another user's session is in front.
    OtherUser,
    /// No trustworthy source; why, in words.
    Unknown(String),
}

/// Which source to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The session's own: X11 where this is a true X11 session.
    Auto,
    /// The owner says that nobody sits here.
    Headless,
}

/// Watches presence until dropped.
#[derive(Debug)]
pub struct Watcher {
    name: &'static str,
    #[cfg(target_os = "linux")]
    x11: Option<x11::Watch>,
}

impl Watcher {
    /// Starts to watch. `on_change` is called from the watcher's own thread: at once with the first reading, then with
    /// every change. `idle_after` is the time without input after which the owner counts as away.
    ///
    /// # Errors
    /// When the watching thread can't be started. A source that fails reports [`Presence::Unknown`] instead.
    pub fn start(
        source: Source,
        idle_after: Duration,
        on_change: impl Fn(Presence) + Send + 'static,
    ) -> std::io::Result<Self> {
        match source {
            Source::Headless => {
                on_change(Presence::Headless);
                Ok(Self {
                    name: "headless",
                    #[cfg(target_os = "linux")]
                    x11: None,
                })
            }
            Source::Auto => Self::session(idle_after, on_change),
        }
    }

    #[cfg(target_os = "linux")]
    fn session(idle_after: Duration, on_change: impl Fn(Presence) + Send + 'static) -> std::io::Result<Self> {
        match x11::refusal() {
            Some(why) => {
                on_change(Presence::Unknown(why));
                Ok(Self { name: "none", x11: None })
            }
            None => Ok(Self { name: "x11", x11: Some(x11::Watch::start(idle_after, on_change)?) }),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn session(_idle_after: Duration, on_change: impl Fn(Presence) + Send + 'static) -> std::io::Result<Self> {
        on_change(Presence::Unknown("this system's presence is not supported yet".into()));
        Ok(Self { name: "none" })
    }

    /// The source in one word: `x11`, `headless`, `none`.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.name
    }

    /// Time since the last input, asked of the source now; for showing, not for deciding.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        #[cfg(target_os = "linux")]
        return self.x11.as_ref().and_then(x11::Watch::idle);
        #[cfg(not(target_os = "linux"))]
        None
    }
}
