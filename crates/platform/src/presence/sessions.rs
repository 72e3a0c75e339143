//! The sessions of this machine, as their reporters tell: for an engine that belongs to no session.
//!
//! Pure. The least idle session counts. A report that is older than three seconds, a reporter that is lost, and a desktop
//! that never had a reporter count as use: nothing runs on a guess. At the greeter, where nobody is logged in, a setting
//! decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::combine::STALE;
use crate::conditions::{Foreground, Use};

/// What the reporter of one session says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport {
    pub input: SessionInput,
    /// The session's screen is locked.
    pub locked: bool,
    /// Who uses the session without touching it: a window that fills the screen, a film, a call, a game controller.
    pub uses: Vec<Use>,
}

/// What a reporter knows of the input in its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionInput {
    /// Somebody is typing or moving a pointer.
    Active,
    /// The last input was so long ago.
    IdleFor(Duration),
    /// The display can't tell; why, in words. Counts as use.
    Unknown(String),
}

/// All sessions that are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    /// By the login service's id of the session.
    reports: BTreeMap<String, Reported>,
    /// The desktops that the login service knows; `None` where it does not tell.
    desktops: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone)]
struct Reported {
    /// `None` when the reporter was lost.
    report: Option<SessionReport>,
    arrived: Instant,
    /// How long the machine had slept by then. `Instant` does not count sleep.
    slept: Duration,
}

/// What the sessions come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionsSay {
    /// No input in any session since; every report is fresh until `until`.
    Idle {
        since: Instant,
        until: Instant,
    },
    Active,
    /// Somebody must be asked who does not tell; why, in words.
    Unknown(String),
    /// Nobody is logged in.
    Nobody,
}

impl Sessions {
    pub(crate) fn report(&mut self, session: String, report: SessionReport, now: Instant, slept: Duration) {
        self.reports.insert(session, Reported { report: Some(report), arrived: now, slept });
    }

    /// The reporter is gone: killed, or its session has ended.
    pub(crate) fn lost(&mut self, session: &str) {
        let gone = self.desktops.as_ref().is_some_and(|desktops| !desktops.contains(session));
        if gone {
            self.reports.remove(session);
        } else if let Some(reported) = self.reports.get_mut(session) {
            reported.report = None;
        }
    }

    /// The session has ended.
    pub(crate) fn ended(&mut self, session: &str) {
        self.reports.remove(session);
    }

    /// The desktops that there are, as the login service tells. A lost reporter of any other has left with its session.
    pub(crate) fn desktops(&mut self, desktops: Option<BTreeSet<String>>) {
        self.desktops = desktops;
        if let Some(desktops) = &self.desktops {
            self.reports.retain(|session, reported| reported.report.is_some() || desktops.contains(session));
        }
    }

    /// What all sessions together say at `now`, when the machine has slept for `slept` since it was started.
    pub(crate) fn say(&self, now: Instant, slept: Duration) -> SessionsSay {
        let silent = self.desktops.iter().flatten().find(|desktop| !self.reports.contains_key(*desktop));
        if silent.is_some() {
            return SessionsSay::Active;
        }
        let (mut since, mut until): (Option<Instant>, Option<Instant>) = (None, None);
        for (session, reported) in &self.reports {
            let age = now.saturating_duration_since(reported.arrived) + slept.saturating_sub(reported.slept);
            let Some(report) = reported.report.as_ref().filter(|_| age < STALE) else { return SessionsSay::Active };
            let idle = match &report.input {
                SessionInput::Active => return SessionsSay::Active,
                SessionInput::Unknown(why) => return SessionsSay::Unknown(format!("session {session}: {why}")),
                SessionInput::IdleFor(idle) => *idle,
            };
            let input = now.checked_sub(idle.saturating_add(age)).unwrap_or(reported.arrived);
            since = since.max(Some(input));
            let stale_at = now + (STALE - age);
            until = Some(until.map_or(stale_at, |until| until.min(stale_at)));
        }
        match (since, until) {
            (Some(since), Some(until)) => SessionsSay::Idle { since, until },
            _ => SessionsSay::Nobody,
        }
    }

    /// Who uses any session without touching it. Behind a locked screen a film and a full screen are signs of nobody.
    pub(crate) fn foreground(&self) -> Foreground {
        let reports = || self.reports.values().filter_map(|reported| reported.report.as_ref());
        let counts = |locked: bool, sign: &Use| !locked || matches!(sign, Use::Call(_) | Use::Gamepad(_));
        let uses = reports().flat_map(|it| it.uses.iter().filter(|sign| counts(it.locked, sign))).cloned().collect();
        let locked = reports().next().is_some() && reports().all(|report| report.locked);
        Foreground { uses, locked, ..Foreground::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn idle(seconds: u64) -> SessionReport {
        let input = SessionInput::IdleFor(Duration::from_secs(seconds));
        SessionReport { input, locked: false, uses: Vec::new() }
    }

    fn active() -> SessionReport {
        SessionReport { input: SessionInput::Active, ..idle(0) }
    }

    /// Virtual time, in which the machine does not sleep unless told.
    struct World {
        sessions: Sessions,
        now: Instant,
        slept: Duration,
    }

    impl World {
        fn new() -> Self {
            let now = Instant::now() + Duration::from_secs(100_000);
            Self { sessions: Sessions::default(), now, slept: Duration::ZERO }
        }

        fn report(&mut self, session: &str, report: SessionReport) {
            self.sessions.report(session.into(), report, self.now, self.slept);
        }

        fn say(&self) -> SessionsSay {
            self.sessions.say(self.now, self.slept)
        }

        fn idle_for(&self) -> Option<u64> {
            match self.say() {
                SessionsSay::Idle { since, .. } => Some((self.now - since).as_secs()),
                _ => None,
            }
        }

        fn desktops(&mut self, ids: &[&str]) {
            self.sessions.desktops(Some(ids.iter().map(|id| (*id).to_owned()).collect()));
        }
    }

    #[test]
    fn the_least_idle_session_counts() {
        let mut world = World::new();
        assert_eq!(world.say(), SessionsSay::Nobody);
        world.report("1", idle(600));
        world.report("2", idle(60));
        assert_eq!(world.idle_for(), Some(60));
        world.now += Duration::from_secs(1);
        assert_eq!(world.idle_for(), Some(61), "idleness goes on between reports");
        world.report("1", active());
        assert_eq!(world.say(), SessionsSay::Active);
        world.sessions.ended("1");
        assert_eq!(world.idle_for(), Some(61));
    }

    #[test]
    fn a_stale_or_lost_reporter_is_somebody_and_an_ended_session_is_nobody() {
        let mut world = World::new();
        world.report("1", idle(600));
        assert!(matches!(world.say(), SessionsSay::Idle { until, .. } if until == world.now + STALE));
        world.now += STALE;
        assert_eq!(world.say(), SessionsSay::Active, "stale");
        world.report("1", idle(603));
        world.sessions.lost("1");
        assert_eq!(world.say(), SessionsSay::Active, "lost, and nobody knows whether its session is over");
        world.desktops(&[]);
        assert_eq!(world.say(), SessionsSay::Nobody);
        world.report("1", idle(603));
        world.sessions.lost("1");
        assert_eq!(world.say(), SessionsSay::Nobody, "its session was over before");
    }

    #[test]
    fn a_machine_that_slept_makes_reports_old() {
        let mut world = World::new();
        world.report("1", idle(600));
        world.slept += Duration::from_secs(3600);
        assert_eq!(world.say(), SessionsSay::Active);
    }

    #[test]
    fn a_desktop_without_a_reporter_is_somebody() {
        let mut world = World::new();
        world.desktops(&["1", "2"]);
        world.report("1", idle(600));
        assert_eq!(world.say(), SessionsSay::Active);
        world.report("2", idle(700));
        assert_eq!(world.idle_for(), Some(600));
    }

    #[test]
    fn a_display_that_can_not_tell_says_which_session_it_is_of() {
        let mut world = World::new();
        let input = SessionInput::Unknown("the display :0 does not answer".into());
        world.report("c2", SessionReport { input, ..idle(0) });
        assert!(matches!(world.say(), SessionsSay::Unknown(why) if why.contains("c2") && why.contains(":0")));
    }

    #[test]
    fn uses_of_all_sessions_count_but_a_film_behind_a_locked_screen() {
        let mut world = World::new();
        let (film, call) = (Use::Inhibited("mpv".into()), Use::Call("zoom".into()));
        world.report("1", SessionReport { uses: vec![film.clone(), call.clone()], locked: true, ..idle(600) });
        let seen = world.sessions.foreground();
        assert_eq!((seen.uses, seen.locked), (vec![call.clone()], true));
        world.report("2", SessionReport { uses: vec![film.clone()], ..idle(600) });
        let seen = world.sessions.foreground();
        assert_eq!((seen.uses, seen.locked), (vec![call, film], false));
        assert!(!Sessions::default().foreground().locked);
    }

    #[derive(Debug, Clone)]
    enum Event {
        Idle(u8, u64),
        Active(u8),
        Lost(u8),
        Ended(u8),
        Sleep(u64),
    }

    fn event() -> impl Strategy<Value = (u64, Event)> {
        let session = 0..3_u8;
        let event = prop_oneof![
            4 => (session.clone(), 0..2_000_u64).prop_map(|(session, idle)| Event::Idle(session, idle)),
            1 => session.clone().prop_map(Event::Active),
            1 => session.clone().prop_map(Event::Lost),
            1 => session.prop_map(Event::Ended),
            1 => (0..10_u64).prop_map(Event::Sleep),
        ];
        (0..2_500_u64, event)
    }

    proptest! {
        /// Beside a model that knows each session's last word.
        #[test]
        fn never_idle_unless_every_session_said_so_lately(events in prop::collection::vec(event(), 1..60)) {
            let mut world = World::new();
            // Per session: when it spoke, by a clock that counts sleep, and the input that it told of; `None` unless idle.
            let mut model: BTreeMap<u8, Option<(u64, u64)>> = BTreeMap::new();
            let mut boot = 10_000_000_u64;
            for (pause, event) in events {
                world.now += Duration::from_millis(pause);
                boot += pause;
                match event {
                    Event::Idle(session, idle) => {
                        let input = SessionInput::IdleFor(Duration::from_millis(idle));
                        world.report(&session.to_string(), SessionReport { input, ..active() });
                        model.insert(session, Some((boot, boot - idle)));
                    }
                    Event::Active(session) => {
                        world.report(&session.to_string(), active());
                        model.insert(session, None);
                    }
                    Event::Lost(session) => {
                        world.sessions.lost(&session.to_string());
                        model.entry(session).and_modify(|word| *word = None);
                    }
                    Event::Ended(session) => {
                        world.sessions.ended(&session.to_string());
                        model.remove(&session);
                    }
                    Event::Sleep(seconds) => {
                        world.slept += Duration::from_secs(seconds);
                        boot += seconds * 1000;
                    }
                }
                let fresh = |word: &Option<(u64, u64)>| word.is_some_and(|(spoke, _)| boot - spoke < 3_000);
                let expected = model.values().all(fresh).then(|| model.values().flatten().map(|(_, input)| *input).max());
                match world.say() {
                    SessionsSay::Nobody => prop_assert!(model.is_empty()),
                    SessionsSay::Idle { since, .. } => {
                        let idle = u64::try_from((world.now - since).as_millis()).unwrap();
                        prop_assert_eq!(Some(Some(boot - idle)), expected);
                    }
                    SessionsSay::Active => prop_assert_eq!(expected, None),
                    SessionsSay::Unknown(why) => prop_assert!(false, "{}", why),
                }
            }
        }
    }
}
