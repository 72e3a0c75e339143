//! What all sources together say: a pure function of their last words and the time.
//!
//! The latest input of any source counts, and what disturbs (a wake, an unlocked screen, a clock that jumped) counts as
//! input. A source that failed, or that has not confirmed its idleness lately, makes presence unknown.

use std::time::{Duration, Instant};

use super::Presence;

/// How old the confirmation of an idle reading may be. A display that is silent for longer may be dead, and with it
/// the event that would stop work.
pub(super) const STALE: Duration = Duration::from_secs(3);

/// How often the sources that have to be asked are asked while nothing else speaks against idleness: the time that
/// somebody waits who types where no event tells.
pub(super) const CLOSE_LOOK: Duration = Duration::from_millis(100);

/// How often while nothing runs that somebody could wait for: less than what makes a reading old.
pub(super) const FAR_LOOK: Duration = Duration::from_secs(1);

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
    /// The last input; `None` where there is nothing to ask. May lie ahead: up to then input can't be seen.
    pub(super) input: Result<Option<Instant>, String>,
}

/// One thing that was heard.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "systems that are asked say less"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    Display(Display),
    Session(Session),
    Look(Look),
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
    /// A display is not needed here: what is asked sees all input.
    looks_suffice: bool,
    /// Something runs that must stop at once.
    close: bool,
    started: Instant,
    display: Display,
    /// The last input that the display told of, for showing.
    seen: Option<Instant>,
    session: Session,
    look: Option<Look>,
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
    pub(super) fn new(idle_after: Duration, looks_suffice: bool, now: Instant) -> Self {
        Self {
            idle_after,
            looks_suffice,
            close: true,
            started: now,
            display: Display::Pending,
            seen: None,
            session: Session::Pending,
            look: None,
            asleep: false,
            disturbed: None,
        }
    }

    pub(super) fn hear(&mut self, report: Report, now: Instant) {
        match report {
            Report::Display(display) => {
                match display {
                    Display::Active => self.seen = Some(now),
                    Display::Idle { since, .. } => self.seen = Some(since),
                    Display::Pending | Display::Absent(_) | Display::Failed(_) => self.seen = None,
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
            Report::Look(look) => self.look = Some(look),
            Report::Seen(input) => self.seen = Some(input),
            Report::Asleep => self.asleep = true,
            Report::Disturbed => (self.asleep, self.disturbed) = (false, Some(now)),
        }
    }

    /// Whether to look closely from now on, because something runs that must stop at once.
    pub(super) const fn look_closely(&mut self, close: bool) {
        self.close = close;
    }

    /// Whether a look is needed before the verdict of `now` counts.
    pub(super) fn wants_look(&self, now: Instant) -> bool {
        matches!(self.without_looks(now), Ok(Some(since)) if now >= since + self.idle_after) && now >= self.look_due()
    }

    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let said = |presence, again| Verdict { presence: Some(presence), again };
        let since = match self.without_looks(now) {
            Err(verdict) => return verdict,
            Ok(None) => return said(Presence::Active, None),
            Ok(Some(since)) => since,
        };
        if now < since + self.idle_after {
            return said(Presence::Active, Some(since + self.idle_after));
        }
        // Idle is never said without a fresh look.
        let Some(look) = self.look.as_ref().filter(|_| now < self.look_due()) else {
            return said(Presence::Active, Some(now));
        };
        let again = Some(self.stale_at().map_or(self.look_due(), |stale| stale.min(self.look_due())));
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
        matches!(self.display, Display::Absent(_)) && (self.looks_suffice || console)
    }

    /// The last input that is known of, for showing.
    pub(super) fn last_input(&self) -> Option<Instant> {
        let look = self.look.as_ref().and_then(|look| look.input.as_ref().ok().copied().flatten());
        [self.seen, look, self.disturbed].into_iter().flatten().max()
    }

    /// No input but what looks can see since this instant; `None` when there is. An error is a verdict by itself.
    fn without_looks(&self, now: Instant) -> Result<Option<Instant>, Verdict> {
        let said = |presence, again| Err(Verdict { presence: Some(presence), again });
        let unknown = |why: &str, again| said(Presence::Unknown(why.into()), again);
        if self.session == Session::Behind {
            return said(Presence::OtherUser, None);
        }
        if let Display::Failed(why) = &self.display {
            return unknown(why, None);
        }
        if let Session::Lost(why) = &self.session {
            return unknown(why, None);
        }
        let patience = self.started + STALE;
        if self.display == Display::Pending || self.session == Session::Pending {
            if now < patience {
                return Err(Verdict { presence: None, again: Some(patience) });
            }
            let silent = if self.display == Display::Pending { "the display" } else { "the login service" };
            return unknown(&format!("{silent} has not answered yet"), None);
        }
        if self.asleep {
            return Ok(None);
        }
        let since = match &self.display {
            Display::Absent(why) => {
                if !self.by_looks_alone() {
                    return unknown(why, None);
                }
                // There must be something that can be looked at.
                match self.look.as_ref().map(|look| &look.input) {
                    Some(Ok(None)) => return unknown(why, None),
                    _ => self.started,
                }
            }
            Display::Idle { since, confirmed } => {
                if now >= *confirmed + STALE {
                    return unknown("the display does not answer", None);
                }
                *since
            }
            Display::Active | Display::Pending | Display::Failed(_) => return Ok(None),
        };
        Ok(Some(self.disturbed.map_or(since, |disturbed| disturbed.max(since))))
    }

    /// When the last look is no longer enough: soon where it saw no input within the threshold, else when the input
    /// that it saw is that old.
    fn look_due(&self) -> Instant {
        let Some(look) = &self.look else { return self.started };
        let soon = look.at + if self.close { CLOSE_LOOK } else { FAR_LOOK };
        match look.input {
            Ok(Some(input)) => soon.max(input + self.idle_after),
            Ok(None) => soon,
            Err(_) => look.at + STALE,
        }
    }

    fn stale_at(&self) -> Option<Instant> {
        match self.display {
            Display::Idle { confirmed, .. } => Some(confirmed + STALE),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
