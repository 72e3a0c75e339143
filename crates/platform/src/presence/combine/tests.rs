use super::super::sessions::SessionInput;
use super::*;

mod properties;

const THRESHOLD: Duration = Duration::from_secs(60);
const CLOSE_LOOK: Duration = Duration::from_millis(100);
const FAR_LOOK: Duration = Duration::from_secs(1);
const LOOKS: LookPace = LookPace { close: CLOSE_LOOK, far: FAR_LOOK, early: Duration::ZERO, suffice: false };

/// A machine in virtual time: one minute has passed without anything since it was started.
struct World {
    heard: Heard,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let start = Instant::now();
        let mut world = Self { heard: Heard::new(THRESHOLD, LOOKS, start), now: start };
        world.look(None);
        world.hear(Report::Session(Session::InFront { console: false }));
        world.pass(60);
        world
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn hear(&mut self, report: Report) {
        self.heard.hear(report, self.now);
    }

    /// The display says that there was no input for so long.
    fn idle(&mut self, seconds: u64) {
        let since = self.now - Duration::from_secs(seconds);
        self.hear(Report::Display(Display::Idle { since, confirmed: self.now }));
    }

    /// The terminals are looked at, and saw their last input so long ago.
    fn look(&mut self, seconds: Option<u64>) {
        let input = seconds.map(|seconds| self.now - Duration::from_secs(seconds));
        self.hear(Report::Look(Look { at: self.now, input: Ok(input) }));
    }

    fn look_again_in(&self) -> Duration {
        self.heard.verdict(self.now).again.expect("idleness is looked after") - self.now
    }

    fn presence(&self) -> Option<Presence> {
        self.heard.verdict(self.now).presence
    }

    fn is_idle_for(&self, seconds: u64) -> bool {
        self.presence() == Some(Presence::IdleSince(self.now - Duration::from_secs(seconds)))
    }

    fn is_active(&self) -> bool {
        self.presence() == Some(Presence::Active)
    }

    fn unknown(&self) -> Option<String> {
        match self.presence() {
            Some(Presence::Unknown(why)) => Some(why),
            _ => None,
        }
    }
}

#[test]
fn looks_are_far_apart_while_nothing_runs_and_the_next_is_at_once_when_something_does() {
    let mut world = World::new();
    world.idle(60);
    world.look(None);
    assert_eq!(world.look_again_in(), CLOSE_LOOK);
    world.heard.look_closely(false);
    assert_eq!(world.look_again_in(), FAR_LOOK);
    world.now += FAR_LOOK / 2;
    assert!(!world.heard.wants_look(world.now));
    assert!(matches!(world.presence(), Some(Presence::IdleSince(_))));
    world.heard.look_closely(true);
    assert!(world.heard.wants_look(world.now));
}

#[test]
fn idle_is_what_all_sources_agree_on() {
    let mut world = World::new();
    world.idle(60);
    world.look(None);
    assert!(world.is_idle_for(60), "no terminals");
    world.look(Some(100));
    assert!(world.is_idle_for(60));
    world.pass(30);
    world.idle(90);
    world.look(Some(59));
    assert!(world.is_active(), "somebody typed over SSH");
    world.look(Some(60));
    assert!(world.is_idle_for(60), "the latest input counts");
    world.hear(Report::Display(Display::Active));
    assert!(world.is_active());
}

#[test]
fn idle_is_never_said_without_a_fresh_look() {
    let mut world = World::new();
    world.idle(60);
    assert!(world.is_active(), "the last look was a minute ago");
    assert!(world.heard.wants_look(world.now));
    world.look(None);
    assert!(!world.heard.wants_look(world.now) && world.is_idle_for(60));
    world.now += CLOSE_LOOK;
    assert!(world.heard.wants_look(world.now));
    let idle = matches!(world.presence(), Some(Presence::IdleSince(_)));
    assert!(idle, "the answer is on its way");
}

#[test]
fn terminals_that_do_not_answer_are_waited_for_and_then_unknown() {
    let mut world = World::new();
    world.idle(60);
    world.heard.asked(world.now);
    assert!(!world.heard.wants_look(world.now), "one question at a time");
    assert!(world.is_active(), "the last look was a minute ago");
    assert_eq!(world.look_again_in(), STALE);
    world.now += STALE;
    world.idle(63);
    assert!(world.unknown().is_some_and(|why| why.contains("terminals")));
    assert!(world.heard.wants_look(world.now), "they are asked again");
    world.look(None);
    assert!(world.is_idle_for(63));
    // A look that was enough stays so for a while when the next answer is late.
    world.now += FAR_LOOK;
    world.heard.asked(world.now);
    assert!(world.is_idle_for(64));
    world.now += STALE - FAR_LOOK;
    world.idle(66);
    assert!(world.is_active());
}

#[test]
fn nothing_is_looked_at_while_somebody_is_here() {
    let mut world = World::new();
    world.hear(Report::Display(Display::Active));
    for _ in 0..10_000 {
        world.pass(1);
        assert!(!world.heard.wants_look(world.now));
        assert_eq!(world.heard.verdict(world.now).again, None, "no timer runs, either");
    }
    // Somebody types over SSH: the next look is due when that could be long enough ago.
    world.idle(60);
    world.look(Some(10));
    assert!(!world.heard.wants_look(world.now));
    world.pass(49);
    world.idle(109);
    assert!(!world.heard.wants_look(world.now) && world.is_active());
    world.pass(1);
    assert!(world.heard.wants_look(world.now));
}

#[test]
fn input_that_can_not_be_seen_yet_counts_as_input() {
    let mut world = World::new();
    world.idle(60);
    let blind_until = world.now + Duration::from_secs(8);
    world.hear(Report::Look(Look { at: world.now, input: Ok(Some(blind_until)) }));
    assert!(world.is_active());
    world.pass(67);
    world.idle(127);
    assert!(world.is_active());
    world.pass(1);
    world.idle(128);
    world.hear(Report::Look(Look { at: world.now, input: Ok(Some(blind_until)) }));
    assert!(world.is_idle_for(60));
}

#[test]
fn a_display_that_does_not_confirm_is_stale() {
    let mut world = World::new();
    world.idle(60);
    world.now += STALE - Duration::from_millis(1);
    world.look(None);
    assert!(matches!(world.presence(), Some(Presence::IdleSince(_))));
    assert_eq!(world.heard.verdict(world.now).again, Some(world.now + Duration::from_millis(1)));
    world.now += Duration::from_millis(1);
    assert!(world.unknown().is_some_and(|why| why.contains("does not answer")));
    // Nothing has to be confirmed while somebody is here.
    world.hear(Report::Display(Display::Active));
    world.pass(3600);
    assert!(world.is_active());
}

#[test]
fn every_failure_is_unknown_and_says_which() {
    let mut world = World::new();
    world.hear(Report::Display(Display::Failed("the display is gone".into())));
    assert_eq!(world.unknown().as_deref(), Some("the display is gone"));
    world.idle(60);
    world.hear(Report::Session(Session::Lost("the bus is gone".into())));
    assert_eq!(world.unknown().as_deref(), Some("the bus is gone"));
    world.hear(Report::Session(Session::InFront { console: false }));
    world.hear(Report::Look(Look { at: world.now, input: Err("no terminals".into()) }));
    assert!(world.is_active(), "what happened while the bus was gone is not known");
    world.pass(60);
    world.idle(120);
    world.hear(Report::Look(Look { at: world.now, input: Err("no terminals".into()) }));
    assert_eq!(world.unknown().as_deref(), Some("no terminals"));
}

#[test]
fn a_silent_start_is_unknown_after_a_while() {
    let start = Instant::now();
    let mut heard = Heard::new(THRESHOLD, LOOKS, start);
    assert_eq!(heard.verdict(start), Verdict { presence: None, again: Some(start + STALE) });
    let why = |heard: &Heard| match heard.verdict(start + STALE).presence {
        Some(Presence::Unknown(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&heard).contains("display"));
    heard.hear(Report::Display(Display::Active), start);
    assert!(why(&heard).contains("login service"));
}

#[test]
fn what_disturbs_counts_as_input() {
    let mut world = World::new();
    for _ in 0..3 {
        world.idle(1000);
        world.look(None);
        assert!(world.heard.verdict(world.now).presence.is_some_and(|it| matches!(it, Presence::IdleSince(_))));
        world.hear(Report::Disturbed);
        assert!(world.is_active());
        world.pass(59);
        world.idle(1000);
        world.look(None);
        assert!(world.is_active());
        world.pass(1);
        world.idle(1000);
        world.look(None);
        assert!(world.is_idle_for(60));
    }
}

#[test]
fn a_machine_that_falls_asleep_is_not_idle_until_it_woke_for_a_while() {
    let mut world = World::new();
    world.idle(60);
    world.look(None);
    world.hear(Report::Asleep);
    world.pass(3600);
    assert!(world.is_active());
    world.hear(Report::Disturbed);
    world.idle(3660);
    assert!(world.is_active());
    world.pass(60);
    world.idle(3720);
    world.look(None);
    assert!(world.is_idle_for(60));
}

#[test]
fn another_session_in_front_is_another_user_and_its_end_is_input() {
    let mut world = World::new();
    world.idle(60);
    world.look(None);
    world.hear(Report::Session(Session::Behind));
    assert_eq!(world.presence(), Some(Presence::OtherUser));
    world.hear(Report::Display(Display::Failed("asleep behind".into())));
    assert_eq!(world.presence(), Some(Presence::OtherUser), "what is certain comes first");
    world.pass(600);
    world.hear(Report::Session(Session::InFront { console: false }));
    world.idle(660);
    world.look(None);
    assert!(world.is_active());
    world.pass(60);
    world.idle(720);
    world.look(None);
    assert!(world.is_idle_for(60));
}

#[test]
fn terminals_suffice_where_somebody_sits_at_a_text_console_only() {
    let mut world = World::new();
    world.hear(Report::Display(Display::Absent("no display".into())));
    world.look(Some(60));
    assert_eq!(world.unknown().as_deref(), Some("no display"), "a login over SSH is no seat");
    world.hear(Report::Session(Session::Unwatched));
    assert_eq!(world.unknown().as_deref(), Some("no display"));
    world.hear(Report::Session(Session::InFront { console: true }));
    assert!(world.is_idle_for(60));
    world.look(Some(3));
    assert!(world.is_active());
    world.look(None);
    assert_eq!(world.unknown().as_deref(), Some("no display"), "a console without a terminal");
}

#[test]
fn no_session_was_ever_seen_where_there_is_no_login_service() {
    let mut world = World::new();
    world.hear(Report::Session(Session::Unwatched));
    world.idle(60);
    world.look(None);
    assert!(world.is_idle_for(60));
}

#[test]
fn where_looks_suffice_no_display_is_needed() {
    let start = Instant::now();
    let mut heard = Heard::new(THRESHOLD, LookPace { suffice: true, ..LOOKS }, start);
    heard.hear(Report::Display(Display::Absent("asked".into())), start);
    heard.hear(Report::Session(Session::InFront { console: false }), start);
    heard.hear(Report::Look(Look { at: start, input: Ok(Some(start)) }), start);
    assert_eq!(heard.verdict(start).presence, Some(Presence::Active));
    let later = start + THRESHOLD;
    assert!(heard.wants_look(later));
    heard.hear(Report::Look(Look { at: later, input: Ok(Some(start)) }), later);
    assert_eq!(heard.verdict(later).presence, Some(Presence::IdleSince(start)));
}

#[test]
fn an_engine_of_all_sessions_hears_their_reporters_and_the_terminals() {
    let start = Instant::now() + Duration::from_secs(1000);
    for greeter_idle in [true, false] {
        let mut heard = Heard::of_sessions(THRESHOLD, LOOKS, greeter_idle, start);
        assert_eq!(heard.verdict(start).presence, None, "the login service may know of a desktop");
        heard.hear(Report::Desktops(Some(BTreeSet::new())), start);
        heard.hear(Report::Session(Session::Unwatched), start);
        let later = start + THRESHOLD;
        let look = |heard: &mut Heard, input| heard.hear(Report::Look(Look { at: later, input: Ok(input) }), later);
        look(&mut heard, None);
        let greeter = if greeter_idle { Presence::IdleSince(start) } else { Presence::Active };
        assert_eq!(heard.verdict(later).presence, Some(greeter));

        heard.hear(Report::Desktops(Some(BTreeSet::from(["2".to_owned()]))), later);
        assert_eq!(heard.verdict(later).presence, Some(Presence::Active), "its reporter has not spoken");
        let input = SessionInput::IdleFor(Duration::from_secs(90));
        let report = SessionReport { input, locked: false, uses: Vec::new() };
        heard.hear(Report::Reported("2".into(), report), later);
        assert_eq!(heard.verdict(later).presence, Some(Presence::IdleSince(later - Duration::from_secs(90))));
        look(&mut heard, Some(later - Duration::from_secs(5)));
        assert_eq!(heard.verdict(later).presence, Some(Presence::Active), "somebody types over SSH");
        look(&mut heard, None);
        heard.hear(Report::ReporterLost("2".into()), later);
        assert_eq!(heard.verdict(later).presence, Some(Presence::Active));
        heard.hear(Report::Desktops(Some(BTreeSet::new())), later);
        assert_eq!(heard.verdict(later).presence == Some(Presence::Active), !greeter_idle, "it has left");
    }
}
