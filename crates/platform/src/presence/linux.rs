//! Linux: the display, the terminals and the login service, each with its own way of telling.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::Watched;
use super::combine::{Look, LookPace, Report, Session};
use super::desktop::{self, Bell, Wire};
use super::logins;
use super::typing::Typing;
use super::watcher_thread::{Ask, Reports};
use crate::alarm::Alarm;
pub use crate::surroundings::Surroundings;

/// Events tell of typing where they can; looks are for the terminals of other users. A display is needed to see what somebody in front of it does.
pub(super) const LOOKS: LookPace = LookPace {
    close: Duration::from_secs(2),
    far: Duration::from_secs(2),
    early: Duration::from_millis(300),
    suffice: false,
};

/// The running sources. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Sources {
    /// `None` where the display is not watched.
    desktop: Option<Bell>,
    _login: Bell,
}

impl Sources {
    pub(super) fn start(
        around: &Surroundings,
        idle_after: Duration,
        watched: Watched,
        reports: &Reports,
    ) -> io::Result<Self> {
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let desktop = match watched {
            Watched::AllSessions => None,
            Watched::OwnSession | Watched::DisplayAlone => {
                let (desktop, wire) = Bell::new(reports.clone())?;
                let here = around.clone();
                thread("presence-screen").spawn(move || desktop::watch(&here, idle_after, &wire))?;
                Some(desktop)
            }
        };
        let (login, wire) = Bell::new(reports.clone())?;
        let here = around.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        thread("presence-login").spawn(move || {
            if let Err(error) = runtime.block_on(watch_logins(&here, watched, &wire)) {
                tracing::error!(%error, "Sessions are no longer watched");
            }
        })?;
        Ok(Self { desktop, _login: login })
    }

    /// Asks for the idle time, to be shown.
    pub(super) fn refresh(&self) {
        if let Some(desktop) = &self.desktop {
            desktop.ring();
        }
    }
}

/// What has to be asked.
pub(super) fn ask(
    around: &Surroundings,
    idle_after: Duration,
    watched: Watched,
    reports: &Reports,
) -> io::Result<Box<dyn Ask>> {
    match watched {
        Watched::DisplayAlone => Ok(Box::new(NoTerminals)),
        Watched::OwnSession | Watched::AllSessions => Ok(Box::new(Typing::start(around, idle_after, reports)?)),
    }
}

/// Whoever reports a session leaves the terminals to the engine.
struct NoTerminals;

impl Ask for NoTerminals {
    fn name(&self) -> &'static str {
        "none"
    }

    fn ask(&mut self, now: Instant, reports: &Reports) {
        reports.send(Report::Look(Look { at: now, input: Ok(None) }));
    }
}

async fn watch_logins(around: &Surroundings, watched: Watched, wire: &Wire) -> io::Result<()> {
    let mut asks = UnixStream::from_std(wire.asks()?)?;
    let stopped = async {
        let mut asked = [0; 64];
        while asks.read(&mut asked).await.is_ok_and(|read| read > 0) {}
    };
    let sessions = async {
        if watched == Watched::DisplayAlone {
            // A session in the background has no input, and its display says so.
            wire.reports.send(Report::Session(Session::Unwatched));
            std::future::pending().await
        } else {
            logins::watch(around, watched, &wire.reports).await
        }
    };
    tokio::select! {
        () = sessions => {}
        () = jumps(&wire.reports) => {}
        () = stopped => {}
    }
    Ok(())
}

/// The time of day being set, and the machine waking: after either no older idleness counts.
async fn jumps(reports: &Reports) {
    match Alarm::new() {
        Ok(alarm) => loop {
            alarm.rung().await;
            reports.send(Report::Disturbed);
        },
        Err(error) => {
            tracing::warn!(%error, "Jumps of the clock are not seen");
            std::future::pending().await
        }
    }
}
