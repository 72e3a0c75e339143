//! This session as its reporter sees it: for an engine that belongs to no session.
//!
//! The terminals are left out: the engine reads those of the whole machine itself. Deliberately absent: the way to the
//! engine.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Pace, Sensors, Wanted};
use crate::conditions::Conditions;
use crate::presence::{Presence, SessionInput, SessionReport, Source, Surroundings};

/// How long without input until idleness is told: less than anybody sets, and more than a pause in typing, after each
/// of which everything would be read.
const IDLE_AFTER: Duration = Duration::from_secs(3);
/// How often a report is repeated while nothing changes and nobody is there: three times before the engine counts it as
/// old.
const REPEAT: Duration = Duration::from_secs(1);

/// Watches the session that this process belongs to until dropped.
#[derive(Debug)]
pub struct SessionWatch {
    sensors: Sensors,
}

impl SessionWatch {
    /// Starts to watch. `on_report` gets the first report when all was read once, then one at each change, input at once,
    /// and one each second while there is no input. It is called from a thread of its own, one report at a time.
    ///
    /// # Errors
    /// When the threads can't be started. A display that can't be watched is reported as such.
    pub fn start(on_report: impl FnMut(SessionReport) + Send + 'static) -> io::Result<Self> {
        Self::start_in(&Surroundings::here(), on_report)
    }

    /// The same with what is around in `around` instead of what the environment says.
    ///
    /// # Errors
    /// When the threads can't be started.
    pub fn start_in(around: &Surroundings, on_report: impl FnMut(SessionReport) + Send + 'static) -> io::Result<Self> {
        let wanted = Wanted { source: Source::Auto, idle_after: IDLE_AFTER, excluded: BTreeSet::new() };
        let (sender, changes) = mpsc::channel();
        let sensors = Sensors::start_display_alone(around, wanted, move |conditions| {
            // Fails only when the thread below has panicked.
            let _ = sender.send(Seen::from(conditions));
        })?;
        std::thread::Builder::new().name("session-report".into()).spawn(move || repeat(&changes, on_report))?;
        Ok(Self { sensors })
    }

    /// How often to read what tells by no event, such as windows that fill the screen.
    pub fn pace(&self, pace: Pace) {
        self.sensors.pace(pace);
    }
}

/// What does not change by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    presence: Presence,
    locked: bool,
    uses: Vec<crate::conditions::Use>,
}

impl From<Conditions> for Seen {
    fn from(conditions: Conditions) -> Self {
        let foreground = conditions.foreground.value;
        Self { presence: conditions.presence.value, locked: foreground.locked, uses: foreground.uses }
    }
}

impl Seen {
    fn report(&self, now: Instant) -> SessionReport {
        let input = match &self.presence {
            Presence::IdleSince(since) => SessionInput::IdleFor(now.saturating_duration_since(*since)),
            Presence::Unknown(why) => SessionInput::Unknown(why.clone()),
            Presence::Active | Presence::Headless | Presence::OtherUser => SessionInput::Active,
        };
        SessionReport { input, locked: self.locked, uses: self.uses.clone() }
    }
}

/// Reports changes at once, and the absence of input again and again, until the sensors are dropped.
fn repeat(changes: &Receiver<Seen>, mut on_report: impl FnMut(SessionReport)) {
    let mut last: Option<Seen> = None;
    loop {
        let quiet = last.as_ref().is_some_and(|seen| seen.presence != Presence::Active);
        let next = if quiet { changes.recv_timeout(REPEAT) } else { changes.recv().map_err(RecvTimeoutError::from) };
        match next {
            Ok(seen) if last.as_ref() == Some(&seen) => continue,
            Ok(seen) => last = Some(seen),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(seen) = &last {
            on_report(seen.report(Instant::now()));
        }
    }
}
