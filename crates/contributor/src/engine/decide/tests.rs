//! The loop's decisions, with a workforce that only writes down what it is told.

use std::sync::Mutex;
use std::sync::mpsc;

use super::*;
use crate::engine::files::accepted;
use crate::gate::tests::well;
use crate::settings::{Machine, Settings};

#[derive(Debug, Default)]
struct Told {
    decisions: Mutex<Vec<Decision>>,
    begun: AtomicU32,
}

impl Workforce for Arc<Told> {
    fn decide(&self, decision: Decision) {
        self.decisions.lock().unwrap().push(decision);
    }

    fn shed(&self, _: u32) {}

    fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    fn tasks(&self) -> u32 {
        self.begun()
    }
}

struct Bed {
    decider: Decider,
    outputs: Outputs,
    told: Arc<Told>,
    load: watch::Receiver<Option<Load>>,
    /// Nobody reads it: the sensors hang.
    _orders: mpsc::Receiver<SensorOrder>,
}

/// A loop whose conditions are all well, with the owner's wish known.
fn bed() -> Bed {
    let machine = Machine { cores: 4, memory_bytes: 16 << 30, portable: false };
    let settings = Arc::new(accepted(&Settings::default(), &machine));
    let (decided, _) = tokio::sync::mpsc::unbounded_channel();
    let (sensors, orders) = mpsc::sync_channel(1);
    let (load, loads) = watch::channel(None);
    let told = Arc::new(Told::default());
    let decider = Decider::new(settings, 1, Idle::default(), Claims::default());
    let mut bed = Bed { decider, outputs: Outputs { decided, sensors, load }, told, load: loads, _orders: orders };
    let (done, _taken) = oneshot::channel();
    bed.hear(Input::Workforce(Some(Arc::new(Arc::clone(&bed.told))), done));
    bed.hear(Input::Conditions(Box::new(well(Instant::now()))));
    bed
}

impl Bed {
    fn hear(&mut self, input: Input) -> Decided {
        self.decider.hear(input);
        let now = self.decider.moment();
        self.decider.decide(&now, &clocks(1), &self.outputs)
    }

    fn newest(&self) -> Option<Decision> {
        self.told.decisions.lock().unwrap().last().cloned()
    }

    fn runs(&self) -> bool {
        matches!(self.newest(), Some(Decision::Run(_)))
    }

    fn order(&mut self, command: Command) -> Decided {
        let (answer, _answered) = oneshot::channel();
        self.hear(Input::Order(Order { command, answer }))
    }
}

#[test]
fn nothing_runs_before_the_disk_has_told_what_the_owner_wanted() {
    let mut bed = bed();
    assert!(!bed.runs());
    assert_eq!(bed.hear(Input::GoOn).wish, None, "and nothing else is stored meanwhile");
    bed.hear(Input::Restored(Wish::Run));
    assert!(bed.runs());
}

#[test]
fn what_the_owner_says_while_the_disk_hangs_counts_more_than_what_it_tells_later() {
    let mut bed = bed();
    let decided = bed.order(Command::Pause { seconds: None });
    assert_eq!(decided.wish, Some(Wish::Pause(Pause::Open)));
    bed.hear(Input::Restored(Wish::Run));
    assert!(!bed.runs());
}

#[test]
fn a_suspension_holds_all_work_and_its_end_lets_it_go_on() {
    let mut bed = bed();
    bed.hear(Input::Restored(Wish::Run));
    let (decided, mut is_decided) = oneshot::channel();
    bed.decider.hear(Input::Suspend(decided));
    assert!(is_decided.try_recv().is_err(), "it is heard, and not decided");
    bed.hear(Input::Zone(TimeZone::UTC));
    assert!(is_decided.try_recv().is_ok());
    assert!(!bed.runs());
    bed.hear(Input::Conditions(Box::new(well(Instant::now()))));
    assert!(!bed.runs(), "whatever the sensors say");
    bed.hear(Input::GoOn);
    assert!(bed.runs());
}

#[test]
fn a_finish_of_before_a_crash_lasts_until_the_tasks_of_before_have_ended() {
    let mut bed = bed();
    bed.told.begun.store(1, Ordering::Relaxed);
    let decided = bed.hear(Input::Restored(Wish::Finish));
    assert_eq!((decided.intent, bed.runs()), (Intent::Finish, true));
    bed.told.begun.store(0, Ordering::Relaxed);
    let decided = bed.hear(Input::GoOn);
    assert_eq!((decided.wish, bed.runs()), (Some(Wish::Pause(Pause::Open)), false));
}

#[test]
fn without_a_workforce_a_finish_stays_and_nothing_runs() {
    let mut bed = bed();
    let (done, _taken) = oneshot::channel();
    bed.hear(Input::Workforce(None, done));
    let decided = bed.hear(Input::Restored(Wish::Finish));
    assert_eq!(decided.wish, Some(Wish::Finish));
    assert_eq!(decided.held.first().map(|first| first.code), Some(ReasonCode::Starting));
}

#[test]
fn each_obstacle_holds_and_the_first_is_shown_first() {
    let mut bed = bed();
    bed.hear(Input::Restored(Wish::Run));
    let obstacle = |code| Some(Reason::new(code));
    bed.hear(Input::Obstacle(Obstacle::Worker, obstacle(ReasonCode::SandboxUnavailable)));
    let decided = bed.hear(Input::Obstacle(Obstacle::Setup, obstacle(ReasonCode::NotSetUp)));
    let codes: Vec<_> = decided.held.iter().map(|reason| reason.code).collect();
    assert_eq!(codes, [ReasonCode::NotSetUp, ReasonCode::SandboxUnavailable]);
    bed.hear(Input::Obstacle(Obstacle::Setup, None));
    assert!(!bed.runs());
    bed.hear(Input::Obstacle(Obstacle::Worker, None));
    assert!(bed.runs());
}

#[test]
fn the_load_is_told_for_as_long_as_work_may_run_on_it() {
    let mut bed = bed();
    assert_eq!(*bed.load.borrow(), None, "nothing may run yet");
    bed.hear(Input::Restored(Wish::Run));
    let mut conditions = well(Instant::now());
    assert_eq!(*bed.load.borrow(), Some(conditions.load.value));
    conditions.load.value.cpu_percent = 7.0;
    bed.hear(Input::Conditions(Box::new(conditions.clone())));
    assert_eq!(bed.load.borrow().map(|load| load.cpu_percent), Some(7.0), "the newest");
    conditions.load.at = Instant::now().checked_sub(Duration::from_secs(60)).expect("this machine runs for a minute");
    bed.hear(Input::Conditions(Box::new(conditions)));
    assert_eq!((bed.runs(), *bed.load.borrow()), (false, None), "one that is too old is none");
}
