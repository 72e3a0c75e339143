use std::fs::File;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, UNIX_EPOCH};

use proptest::prelude::*;

use super::record::{ASLEEP, CLOCK_SET, Current, Look, SIGN_EVERY, STOOD_STILL, WORKED, Write};
use super::*;
use crate::store::Store;
use crate::view::{ReasonCode, State};

/// A timeline in virtual time, and what it would write.
struct Clock {
    current: Current,
    written: Receiver<Write>,
    now: Instant,
    /// Unix milliseconds.
    at: u64,
    worked_ms: u64,
    asleep: Duration,
}

impl Clock {
    fn new(at: u64) -> Self {
        let (writes, written) = mpsc::channel();
        let now = Instant::now();
        let current = Current::new(writes, now, Duration::ZERO);
        Self { current, written, now, at: at * 1_000, worked_ms: 0, asleep: Duration::ZERO }
    }

    /// Looks once a second.
    fn pass(&mut self, seconds: u64, reason: Option<ReasonCode>) {
        for _ in 0..seconds {
            self.worked_ms += if reason.is_none() { 900 } else { 0 };
            self.look_after(1_000, reason);
        }
    }

    fn look_after(&mut self, ms: u64, reason: Option<ReasonCode>) {
        self.at += ms;
        self.now += Duration::from_millis(ms);
        self.look(reason);
    }

    fn look(&mut self, reason: Option<ReasonCode>) {
        let state = if reason.is_none() { State::Earning } else { State::Held };
        self.look_as(state, reason);
    }

    fn look_as(&mut self, state: State, reason: Option<ReasonCode>) {
        let look = Look { at: self.at, state, reason, worked_ms: self.worked_ms, asleep: self.asleep };
        self.current.note(look, self.now);
    }

    /// The stretches as the database would have them.
    fn stretches(&mut self) -> Vec<Interval> {
        self.current.touch();
        let mut rows: Vec<Interval> = Vec::new();
        for write in self.written.try_iter() {
            match write {
                Write::Begin(row) => rows.push(row),
                Write::Touch { until_ms, cpu_ms } => {
                    let last = rows.last_mut().unwrap();
                    (last.until_ms, last.cpu_ms) = (until_ms, cpu_ms);
                }
                Write::Sign => {}
            }
        }
        rows
    }
}

/// A stretch without CPU time, in seconds.
fn row(since: u64, until: u64, reason: &str) -> Interval {
    let gap = [OFF, ASLEEP, CLOCK_SET, STOOD_STILL].contains(&reason);
    let (state, reason) = if gap { (reason, "") } else { ("held", reason) };
    Interval { since_ms: since * 1_000, until_ms: until * 1_000, state: state.into(), reason: reason.into(), cpu_ms: 0 }
}

fn earning(since_ms: u64, until_ms: u64, cpu_ms: u64) -> Interval {
    Interval { since_ms, until_ms, state: "earning".into(), reason: String::new(), cpu_ms }
}

#[test]
fn it_writes_at_a_change_and_now_and_then() {
    let mut clock = Clock::new(1_000);
    clock.pass(300, Some(ReasonCode::UserActive));
    let writes: Vec<_> = clock.written.try_iter().collect();
    assert_eq!(writes[0], Write::Begin(row(1_001, 1_001, "user_active")));
    assert_eq!(writes[1..], [Write::Sign, Write::Sign, Write::Sign, Write::Sign]);
    clock.pass(130, None);
    let writes: Vec<_> = clock.written.try_iter().collect();
    assert_eq!(writes[0], Write::Touch { until_ms: 1_300_100, cpu_ms: 0 });
    assert_eq!(writes[1], Write::Begin(earning(1_300_100, 1_301_000, 900)));
    // Soon at first, then each minute.
    let touched = |write: &Write| match write {
        Write::Touch { until_ms, .. } => until_ms / 1_000 - 1_301,
        _ => 0,
    };
    assert_eq!(writes[2..].iter().map(touched).collect::<Vec<_>>(), [1, 3, 7, 15, 31, 63, 123]);
}

#[test]
fn cpu_time_is_on_the_state_in_which_it_was_used() {
    let mut clock = Clock::new(1_000);
    clock.look(Some(ReasonCode::Starting));
    // A task that began between two looks.
    clock.worked_ms += 720;
    clock.look_after(1_000, None);
    clock.worked_ms += 500;
    clock.look_after(500, Some(ReasonCode::UserActive));
    // One that began and ended between them.
    clock.worked_ms += 300;
    clock.look_after(1_000, Some(ReasonCode::UserActive));
    // What a held worker costs.
    clock.worked_ms += 20;
    clock.look_after(1_000, Some(ReasonCode::UserActive));
    let held = |since_ms, until_ms, reason: &str, cpu_ms| Interval { since_ms, until_ms, cpu_ms, ..row(0, 0, reason) };
    let expected = [
        held(1_000_000, 1_000_280, "starting", 0),
        earning(1_000_280, 1_001_500, 1_220),
        held(1_001_500, 1_002_200, "user_active", 0),
        earning(1_002_200, 1_002_500, 300),
        held(1_002_500, 1_003_500, "user_active", 20),
    ];
    assert_eq!(clock.stretches(), expected);
}

/// What happens between two looks: time that passes, CPU time that is used, what is shown then.
#[derive(Debug, Clone)]
struct Step {
    ms: u64,
    used: u64,
    asleep: u64,
    set_back: u64,
    shown: (State, Option<ReasonCode>),
}

fn any_step() -> impl Strategy<Value = Step> {
    let shown = prop_oneof![
        Just((State::Earning, None)),
        Just((State::Held, None)),
        Just((State::Held, Some(ReasonCode::UserActive))),
        Just((State::Held, Some(ReasonCode::NoWork))),
        Just((State::Paused, Some(ReasonCode::Paused))),
    ];
    let rarely = |most: u64| prop_oneof![19 => Just(0), 1 => 0..most];
    (0u64..2_500, 0u64..5_000, rarely(9_000_000), rarely(9_000_000), shown)
        .prop_map(|(ms, used, asleep, set_back, shown)| Step { ms, used: used.min(ms * 2), asleep, set_back, shown })
}

proptest! {
    /// All CPU time is told, none of it as used by what was held, and what is held has a reason.
    #[test]
    fn cpu_time_adds_up_and_what_is_held_has_a_reason(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut clock = Clock::new(1_000_000);
        for step in &steps {
            clock.asleep += Duration::from_millis(step.asleep);
            clock.at = (clock.at + step.ms + step.asleep).saturating_sub(step.set_back);
            clock.now += Duration::from_millis(step.ms);
            clock.worked_ms += step.used;
            clock.look_as(step.shown.0, step.shown.1);
        }
        let set_back = steps.iter().any(|step| step.set_back > 0);
        let (used, until) = (clock.worked_ms, clock.at + 20_000_000_000);
        let rows = clock.stretches();
        prop_assert_eq!(rows.iter().map(|row| row.cpu_ms).sum::<u64>(), used);
        let told = without_gaps(rows.clone(), 0, until);
        prop_assert_eq!(told.iter().map(|row| row.cpu_ms).sum::<u64>(), used);
        for row in &rows {
            prop_assert!(row.state != "held" || !row.reason.is_empty(), "{:?}", row);
            prop_assert!(row.since_ms <= row.until_ms, "{:?}", row);
            let most = WORKED * steps.len() as u64;
            prop_assert!(row.state == "earning" || set_back || row.cpu_ms < most, "{:?}", row);
        }
        for pair in rows.windows(2) {
            prop_assert!(set_back || pair[0].until_ms == pair[1].since_ms, "{:?}", pair);
        }
    }
}

#[test]
fn a_gap_has_a_name() {
    let mut clock = Clock::new(100_000);
    let begun = |clock: &Clock| {
        let rows = clock.written.try_iter().filter_map(|write| match write {
            Write::Begin(row) => Some((row.since_ms / 1_000, row.until_ms / 1_000, row.state)),
            Write::Touch { .. } | Write::Sign => None,
        });
        rows.collect::<Vec<_>>()
    };
    clock.pass(10, Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock).len(), 1);
    clock.at += 3_600_000;
    clock.asleep += Duration::from_secs(3_600);
    clock.look(Some(ReasonCode::NoWork));
    let told = [(100_010, 103_610, ASLEEP.into()), (103_610, 103_610, "held".into())];
    assert_eq!(begun(&clock), told);

    clock.at += 600_000;
    clock.look(Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock)[0], (103_610, 104_210, CLOCK_SET.into()));

    clock.look_after(600_000, Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock)[0], (104_210, 104_810, STOOD_STILL.into()));

    clock.at -= 7_200_000;
    clock.look(Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock).len(), 1, "times that were there before, when the clock is set back, have no stretch");
    clock.pass(SIGN_EVERY / 1_000, Some(ReasonCode::NoWork));
    assert_eq!(clock.written.try_iter().collect::<Vec<_>>(), [Write::Sign], "the new time counts");

    clock.look_after(4_000, Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock), [], "a busy machine is no gap");
}

#[test]
fn every_moment_is_told_once() {
    let rows = vec![row(10, 20, "user_active"), row(15, 30, "no_work"), row(40, 50, "paused"), row(45, 46, "no_work")];
    let told = without_gaps(rows, 12_000, 60_000);
    let expected =
        [row(12, 20, "user_active"), row(20, 30, "no_work"), row(30, 40, OFF), row(40, 50, "paused"), row(50, 60, OFF)];
    assert_eq!(told, expected);
    assert_eq!(without_gaps(Vec::new(), 0, 60_000), [row(0, 60, OFF)]);
    let cut = without_gaps(vec![row(50, 70, "paused")], 0, 60_000);
    assert_eq!(cut, [row(0, 50, OFF), row(50, 60, "paused")]);
}

#[test]
fn what_is_written_is_read_without_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sqlite");
    assert_eq!(read(&path, 30, 100_000, false).unwrap(), [row(0, 100, OFF)]);
    let store = Store::open(&path).unwrap();
    let timeline = Timeline::open(&path, 0).unwrap();
    let now = Instant::now();
    for (at, reason) in [(1_000, ReasonCode::Paused), (1_003, ReasonCode::Paused), (1_005, ReasonCode::NoWork)] {
        let look =
            Look { at: at * 1_000, state: State::Held, reason: Some(reason), worked_ms: 0, asleep: Duration::ZERO };
        timeline.current.lock().unwrap().note(look, now + Duration::from_secs(at));
    }
    drop(timeline);
    let told = read(&path, 30, 1_006_000, false).unwrap();
    assert_eq!(told[1..], [row(1_000, 1_005, "paused"), row(1_005, 1_006, OFF)]);
    let told = read(&path, 30, 1_006_000, true).unwrap();
    assert_eq!(told[1..], [row(1_000, 1_005, "paused"), row(1_005, 1_006, "no_work")]);
    // That engine was killed 100 seconds later, and the stretch was not touched any more.
    let seen = UNIX_EPOCH + Duration::from_secs(1_105);
    File::options().write(true).open(sign(&path)).unwrap().set_modified(seen).unwrap();
    let ends = [row(1_000, 1_005, "paused"), row(1_005, 1_105, "no_work"), row(1_105, 1_200, OFF)];
    assert_eq!(read(&path, 30, 1_200_000, false).unwrap()[1..], ends);
    drop(Timeline::open(&path, 1_200_000).unwrap());
    assert_eq!(read(&path, 30, 1_200_000, false).unwrap()[1..], ends, "the next engine's own sign is no earlier one's");
    store.notice(5, "something happened").unwrap();
    assert_eq!(notices(&path).unwrap(), [(5, "something happened".into())]);
}
