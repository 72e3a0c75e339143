//! What all sources together say: a pure function of their last words and the time.
//!
//! The latest input of any source counts, and what disturbs (a wake, an unlocked screen, a clock that jumped) counts as
//! input. A source that failed, or that has not confirmed its idleness lately, makes presence unknown.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Presence;
use super::sessions::{SessionReport, Sessions, SessionsSay};

/// How old the confirmation of an idle reading may be. A display that is silent for longer may be dead, and with it
/// the event that would stop work.
pub(super) const STALE: Duration = Duration::from_secs(3);

/// How long to leave a silent display.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

const SILENT_LOOK: &str = "the terminals can't be looked at: the system does not answer";

/// How often the sources that have to be asked are asked while nothing else speaks against idleness.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookPace {
    /// While something runs that must stop at once.
    pub(super) close: Duration,
    /// While nothing runs that somebody could wait for. Less than what makes a reading old.
    pub(super) far: Duration,
    /// How much sooner they may be asked where a report has woken the thread anyway: one wake-up less.
    pub(super) early: Duration,
    /// Whether looks see all input, so that no display is needed.
    pub(super) suffice: bool,
}

/// The last word of the display, which speaks by events.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "systems that are asked say less"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Display {
    /// Not heard of yet.
    Pending,
    /// There is none, in words.
    Absent(String),
    /// Input came less than the threshold ago, or may have.
    Active,
    /// No input since; the display said so at `confirmed`.
    Idle { since: Instant, confirmed: Instant },
    /// It should be there and can't tell; why.
    Failed(String),
}

/// What is known of the session that this engine belongs to.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "systems that are asked say less"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Session {
    /// Not heard of yet.
    Pending,
    /// Nobody tells of sessions here.
    Unwatched,
    /// In front, and whether it is a text console: one where somebody sits and there is no display.
    InFront { console: bool },
    /// Another one is in front, or in use beside it.
    Behind,
    /// It was told of, and is not any more; why.
    Lost(String),
}

/// What a look at the sources that have to be asked found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) at: Instant,
    /// The last input; `None` where there is nothing to ask. Where a source shows input in steps, this is the end of
    /// its step, which may be in the future: until then more input would not show.
    pub(super) input: Result<Option<Instant>, String>,
}

/// One thing that was heard.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "systems that are asked say less"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    Display(Display),
    Session(Session),
    Look(Look),
    /// The reporter of a session, by the session's id.
    Reported(String, SessionReport),
    /// A session's reporter is gone.
    ReporterLost(String),
    /// A session has ended.
    SessionEnded(String),
    /// The desktops that there are, by their sessions' ids; `None` where nobody tells.
    Desktops(Option<BTreeSet<String>>),
    /// The display's last input while it is active, for showing.
    Seen(Instant),
    /// The machine is about to sleep.
    Asleep,
    /// Something after which no older idleness counts: a wake, an unlocked screen, a clock that jumped.
    Disturbed,
}

/// Everything that was heard, as of the last report.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    idle_after: Duration,
    looks: LookPace,
    /// Something runs that must stop at once.
    close: bool,
    /// For an engine that belongs to no session: what the sessions' reporters say, instead of a display.
    sessions: Option<SessionsSource>,
    /// How long the machine has slept since its start, as of the latest event.
    slept: Duration,
    started: Instant,
    display: Display,
    /// The last input that the display told of, for showing.
    seen: Option<Instant>,
    session: Session,
    look: Option<Look>,
    /// When the sources were asked that have not answered yet.
    asked: Option<Instant>,
    asleep: bool,
    disturbed: Option<Instant>,
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `None` while the first words are still awaited.
    pub(super) presence: Option<Presence>,
    /// When to look at it again if nothing is heard. `None`: only a report can change it.
    pub(super) again: Option<Instant>,
}

impl Heard {
    pub(super) fn new(idle_after: Duration, looks: LookPace, now: Instant) -> Self {
        Self {
            idle_after,
            looks,
            close: true,
            sessions: None,
            slept: Duration::ZERO,
            started: now,
            display: Display::Pending,
            seen: None,
            session: Session::Pending,
            look: None,
            asked: None,
            asleep: false,
            disturbed: None,
        }
    }

    /// Listens to the reporters of all sessions instead of a display. `greeter_idle`: a machine that nobody is logged in
    /// to is idle.
    pub(super) fn of_sessions(idle_after: Duration, looks: LookPace, greeter_idle: bool, now: Instant) -> Self {
        let sessions = Some(SessionsSource { greeter_idle, all: Sessions::default() });
        Self { sessions, ..Self::new(idle_after, looks, now) }
    }

    pub(super) fn hear(&mut self, report: Report, now: Instant) {
        match report {
            Report::Display(display) => {
                match display {
                    Display::Active => self.seen = Some(now),
                    Display::Idle { since, .. } => self.seen = Some(since),
                    Display::Pending | Display::Absent(_) => self.seen = None,
                    // What it said before it failed is still the last that is known.
                    Display::Failed(_) => {}
                }
                self.display = display;
            }
            Report::Session(session) => {
                // Until now another may have been in front.
                let elsewhere = |session: &Session| matches!(session, Session::Behind | Session::Lost(_));
                if elsewhere(&self.session) && !elsewhere(&session) {
                    self.disturbed = Some(now);
                }
                self.session = session;
            }
            Report::Look(look) => (self.look, self.asked) = (Some(look), None),
            Report::Reported(session, report) => {
                let slept = self.slept;
                self.with_sessions(|all| all.report(session, report, now, slept));
            }
            Report::ReporterLost(session) => self.with_sessions(|all| all.lost(&session)),
            Report::SessionEnded(session) => self.with_sessions(|all| all.ended(&session)),
            Report::Desktops(desktops) => self.with_sessions(|all| all.desktops(desktops)),
            Report::Seen(input) => self.seen = Some(input),
            Report::Asleep => self.asleep = true,
            Report::Disturbed => (self.asleep, self.disturbed) = (false, Some(now)),
        }
    }

    /// The display stood by its idleness at this moment.
    pub(super) fn confirm(&mut self, at: Instant) {
        if let Display::Idle { confirmed, .. } = &mut self.display {
            *confirmed = at.max(*confirmed);
        }
    }

    fn with_sessions(&mut self, change: impl FnOnce(&mut Sessions)) {
        if let Some(sessions) = &mut self.sessions {
            change(&mut sessions.all);
        }
    }

    /// How long the machine has slept since its start.
    pub(super) const fn slept(&mut self, slept: Duration) {
        self.slept = slept;
    }

    /// Whether to look closely from now on, because something runs that must stop at once.
    pub(super) const fn look_closely(&mut self, close: bool) {
        self.close = close;
    }

    /// Whether the sources that have to be asked must be asked now.
    pub(super) fn wants_look(&self, now: Instant) -> bool {
        let matters =
            matches!(self.without_looks(now), Ok(Quiet { since: Some(since), .. }) if now >= since + self.idle_after);
        let awaited = self.asked.is_some_and(|asked| now < asked + STALE);
        matters && !awaited && now >= self.look_due()
    }

    /// Whether they must be asked so soon that it is done now.
    pub(super) fn wants_look_soon(&self, now: Instant) -> bool {
        self.wants_look(now + self.looks.early)
    }

    /// The sources were asked.
    pub(super) const fn asked(&mut self, now: Instant) {
        if self.asked.is_none() {
            self.asked = Some(now);
        }
    }

    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let said = |presence, again| Verdict { presence: Some(presence), again };
        let (since, fresh_until) = match self.without_looks(now) {
            Err(verdict) => return verdict,
            Ok(Quiet { since: None, .. }) => return said(Presence::Active, None),
            Ok(Quiet { since: Some(since), fresh_until }) => (since, fresh_until),
        };
        if now < since + self.idle_after {
            return said(Presence::Active, Some(since + self.idle_after));
        }
        // Idle is never said without a fresh look.
        let Some(look) = self.look.as_ref().filter(|look| now < look.at + STALE || now < self.look_due()) else {
            return match self.asked {
                Some(asked) if now >= asked + STALE => said(Presence::Unknown(SILENT_LOOK.into()), None),
                Some(asked) => said(Presence::Active, Some(asked + STALE)),
                None => said(Presence::Active, Some(now)),
            };
        };
        let next_look = if self.asked.is_some() { (look.at + STALE).max(self.look_due()) } else { self.look_due() };
        let again = Some(fresh_until.map_or(next_look, |until| until.min(next_look)));
        let since = match &look.input {
            Err(why) => return said(Presence::Unknown(why.clone()), again),
            Ok(input) => input.map_or(since, |input| input.max(since)),
        };
        if now < since + self.idle_after {
            return said(Presence::Active, again);
        }
        said(Presence::IdleSince(since), again)
    }

    /// Whether looks are all that there is, and they suffice.
    pub(super) fn by_looks_alone(&self) -> bool {
        let console = matches!(self.session, Session::InFront { console: true });
        matches!(self.display, Display::Absent(_)) && (self.looks.suffice || console)
    }

    /// The last input that is known of, for showing.
    pub(super) fn last_input(&self) -> Option<Instant> {
        let look = self.look.as_ref().and_then(|look| look.input.as_ref().ok().copied().flatten());
        [self.seen, look, self.disturbed].into_iter().flatten().max()
    }

    /// Since when all but the looks have seen no input. An error is a verdict by itself.
    fn without_looks(&self, now: Instant) -> Result<Quiet, Verdict> {
        let quiet = match &self.sessions {
            Some(sessions) => self.by_sessions(sessions, now)?,
            None => self.by_display(now)?,
        };
        let since = quiet.since.map(|since| self.disturbed.map_or(since, |disturbed| disturbed.max(since)));
        Ok(Quiet { since, ..quiet })
    }

    fn by_sessions(&self, sessions: &SessionsSource, now: Instant) -> Result<Quiet, Verdict> {
        if self.asleep {
            return Ok(Quiet::NOT);
        }
        match sessions.all.say(now, self.slept) {
            SessionsSay::Idle { since, until } => Ok(Quiet { since: Some(since), fresh_until: Some(until) }),
            SessionsSay::Active => Ok(Quiet::NOT),
            SessionsSay::Unknown(why) => Err(Verdict::unknown(&why, None)),
            SessionsSay::Nobody if self.session == Session::Pending && now < self.started + STALE => {
                Err(Verdict { presence: None, again: Some(self.started + STALE) })
            }
            SessionsSay::Nobody if sessions.greeter_idle => Ok(Quiet { since: Some(self.started), fresh_until: None }),
            SessionsSay::Nobody => Ok(Quiet::NOT),
        }
    }

    fn by_display(&self, now: Instant) -> Result<Quiet, Verdict> {
        if self.session == Session::Behind {
            return Err(Verdict { presence: Some(Presence::OtherUser), again: None });
        }
        if let Display::Failed(why) = &self.display {
            return Err(Verdict::unknown(why, None));
        }
        if let Session::Lost(why) = &self.session {
            return Err(Verdict::unknown(why, None));
        }
        let patience = self.started + STALE;
        if self.display == Display::Pending || self.session == Session::Pending {
            if now < patience {
                return Err(Verdict { presence: None, again: Some(patience) });
            }
            let silent = if self.display == Display::Pending { "the display" } else { "the login service" };
            return Err(Verdict::unknown(&format!("{silent} has not answered yet"), None));
        }
        if self.asleep {
            return Ok(Quiet::NOT);
        }
        match &self.display {
            Display::Absent(why) => {
                // There must be something that can be looked at.
                let nothing = self.look.as_ref().is_some_and(|look| look.input == Ok(None));
                if !self.by_looks_alone() || nothing {
                    return Err(Verdict::unknown(why, None));
                }
                Ok(Quiet { since: Some(self.started), fresh_until: None })
            }
            Display::Idle { since, confirmed } => {
                let fresh_until = *confirmed + STALE;
                if now >= fresh_until {
                    // It may answer again at any time, which wakes nobody.
                    return Err(Verdict::unknown("the display does not answer", Some(now + LISTEN_AGAIN)));
                }
                Ok(Quiet { since: Some(*since), fresh_until: Some(fresh_until) })
            }
            Display::Active | Display::Pending | Display::Failed(_) => Ok(Quiet::NOT),
        }
    }

    /// When the sources must be asked again: soon where they saw no input within the threshold, else when the input that
    /// they saw is that old.
    fn look_due(&self) -> Instant {
        let Some(look) = &self.look else { return self.started };
        let soon = look.at + if self.close { self.looks.close } else { self.looks.far };
        match look.input {
            Ok(Some(input)) => soon.max(input + self.idle_after),
            Ok(None) => soon,
            Err(_) => look.at + STALE,
        }
    }
}

/// Since when there was no input, as far as one part of the sources knows.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    /// `None` while there is input.
    since: Option<Instant>,
    /// When that must have been confirmed again; `None` where nobody confirms.
    fresh_until: Option<Instant>,
}

impl Quiet {
    const NOT: Self = Self { since: None, fresh_until: None };
}

impl Verdict {
    fn unknown(why: &str, again: Option<Instant>) -> Self {
        Self { presence: Some(Presence::Unknown(why.into())), again }
    }
}

#[derive(Debug, Clone)]
struct SessionsSource {
    greeter_idle: bool,
    all: Sessions,
}

#[cfg(test)]
mod tests;
