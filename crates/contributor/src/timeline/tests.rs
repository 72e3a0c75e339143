use super::*;
use crate::store::Store;

/// A timeline in virtual time, and what it would write.
struct Clock {
    current: Current,
    written: Receiver<Write>,
    now: Instant,
    at: u64,
    worked_ms: u64,
    asleep: Duration,
}

impl Clock {
    fn new(at: u64) -> Self {
        let (writes, written) = mpsc::channel();
        let now = Instant::now();
        let current = Current::new(writes, now, Duration::ZERO);
        Self { current, written, now, at, worked_ms: 0, asleep: Duration::ZERO }
    }

    fn pass(&mut self, seconds: u64, reason: Option<ReasonCode>) {
        for _ in 0..seconds {
            self.at += 1;
            self.now += Duration::from_secs(1);
            self.look(reason);
        }
    }

    fn look(&mut self, reason: Option<ReasonCode>) {
        let state = if reason.is_none() { State::Earning } else { State::Held };
        self.worked_ms += if reason.is_none() { 900 } else { 0 };
        let look = Look { at: self.at, state, reason, worked_ms: self.worked_ms, asleep: self.asleep };
        self.current.note(look, self.now);
    }
}

fn row(since: u64, until: u64, reason: &str) -> Interval {
    let gap = [OFF, ASLEEP, CLOCK_SET, STOOD_STILL].contains(&reason);
    let (state, reason) = if gap { (reason, "") } else { ("held", reason) };
    Interval { since, until, state: state.into(), reason: reason.into(), cpu_ms: 0 }
}

#[test]
fn it_writes_at_a_change_and_now_and_then() {
    let mut clock = Clock::new(1_000);
    clock.pass(300, Some(ReasonCode::UserActive));
    let writes: Vec<_> = clock.written.try_iter().collect();
    assert_eq!(writes[0], Write::Begin(row(1_001, 1_001, "user_active")));
    assert_eq!(writes[1..], [Write::Sign, Write::Sign, Write::Sign, Write::Sign]);
    clock.pass(10, None);
    let writes: Vec<_> = clock.written.try_iter().collect();
    assert_eq!(writes[0], Write::Touch { until: 1_301, cpu_ms: 900 }, "measured, whatever the state says");
    assert_eq!(writes.len(), 2);
    assert_eq!(clock.current.row.as_ref().unwrap().cpu_ms, 9 * 900);
    clock.pass(120, None);
    let writes: Vec<_> = clock.written.try_iter().collect();
    assert_eq!(writes[0], Write::Touch { until: 1_361, cpu_ms: 60 * 900 });
    assert_eq!(writes.len(), 2, "{writes:?}");
}

#[test]
fn a_gap_has_a_name() {
    let mut clock = Clock::new(100_000);
    let begun = |clock: &Clock| {
        let rows = clock.written.try_iter().filter_map(|write| match write {
            Write::Begin(row) => Some((row.since, row.until, row.state)),
            Write::Touch { .. } | Write::Sign => None,
        });
        rows.collect::<Vec<_>>()
    };
    clock.pass(10, Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock).len(), 1);
    clock.at += 3_600;
    clock.asleep += Duration::from_secs(3_600);
    clock.look(Some(ReasonCode::NoWork));
    let told = [(100_010, 103_610, ASLEEP.into()), (103_610, 103_610, "held".into())];
    assert_eq!(begun(&clock), told);

    clock.at += 600;
    clock.look(Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock)[0], (103_610, 104_210, CLOCK_SET.into()));

    clock.at += 600;
    clock.now += Duration::from_secs(600);
    clock.look(Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock)[0], (104_210, 104_810, STOOD_STILL.into()));

    clock.at -= 7_200;
    clock.look(Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock).len(), 1, "times that were there before, when the clock is set back, have no row");
    clock.pass(SIGN_EVERY, Some(ReasonCode::NoWork));
    assert_eq!(clock.written.try_iter().collect::<Vec<_>>(), [Write::Sign], "the new time counts");

    clock.at += 4;
    clock.now += Duration::from_secs(4);
    clock.look(Some(ReasonCode::NoWork));
    assert_eq!(begun(&clock), [], "a busy machine is no gap");
}

#[test]
fn every_second_is_told_once() {
    let rows = vec![row(10, 20, "user_active"), row(15, 30, "no_work"), row(40, 50, "paused"), row(45, 46, "no_work")];
    let told = without_gaps(rows, 12, 60);
    let expected =
        [row(12, 20, "user_active"), row(20, 30, "no_work"), row(30, 40, OFF), row(40, 50, "paused"), row(50, 60, OFF)];
    assert_eq!(told, expected);
    assert_eq!(without_gaps(Vec::new(), 0, 60), [row(0, 60, OFF)]);
    assert_eq!(without_gaps(vec![row(50, 70, "paused")], 0, 60), [row(0, 50, OFF), row(50, 60, "paused")]);
}

#[test]
fn what_is_written_is_read_without_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sqlite");
    assert_eq!(read(&path, 30, 100, false).unwrap(), [row(0, 100, OFF)]);
    let store = Store::open(&path).unwrap();
    let timeline = Timeline::open(&path, 0).unwrap();
    let now = Instant::now();
    for (at, reason) in [(1_000, ReasonCode::Paused), (1_003, ReasonCode::Paused), (1_005, ReasonCode::NoWork)] {
        let look = Look { at, state: State::Held, reason: Some(reason), worked_ms: 0, asleep: Duration::ZERO };
        timeline.current.lock().unwrap().note(look, now + Duration::from_secs(at));
    }
    drop(timeline);
    let told = read(&path, 30, 1_006, false).unwrap();
    assert_eq!(told[1..], [row(1_000, 1_005, "paused"), row(1_005, 1_006, OFF)]);
    let told = read(&path, 30, 1_006, true).unwrap();
    assert_eq!(told[1..], [row(1_000, 1_005, "paused"), row(1_005, 1_006, "no_work")]);
    // That engine was killed 100 seconds later, and the row was not touched any more.
    let seen = UNIX_EPOCH + Duration::from_secs(1_105);
    File::options().write(true).open(sign(&path)).unwrap().set_modified(seen).unwrap();
    let ends = [row(1_000, 1_005, "paused"), row(1_005, 1_105, "no_work"), row(1_105, 1_200, OFF)];
    assert_eq!(read(&path, 30, 1_200, false).unwrap()[1..], ends);
    drop(Timeline::open(&path, 1_200).unwrap());
    assert_eq!(read(&path, 30, 1_200, false).unwrap()[1..], ends, "the next engine's own sign is no earlier one's");
    store.notice(5, "something happened").unwrap();
    assert_eq!(notices(&path).unwrap(), [(5, "something happened".into())]);
}
