use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use surge_protocol::Digest;
use surge_protocol::task::Limits;

use super::*;

const PREFETCH: u32 = 1;
const MOST_WORKERS: u32 = 3;

fn terms(n: u64, expires_in: Millis, deadline_in: Millis) -> Terms {
    let lease = Digest(*blake3::hash(&n.to_le_bytes()).as_bytes());
    let job = Digest([(n % 2) as u8; 32]);
    Terms { lease, job, limits: Limits::default(), expires_in, deadline_in: Some(deadline_in), begun: false }
}

fn actions(plan: &mut Plan) -> Vec<Action> {
    std::iter::from_fn(|| plan.poll_event()).collect()
}

fn step(plan: &mut Plan, input: Input, moment: Moment) -> Vec<Action> {
    plan.handle_input(input, moment);
    actions(plan)
}

/// What became of a lease outside the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Given to this node.
    Held,
    Stored,
    GivenBack,
    Forgotten,
    Delivered,
}

/// A world that does what the plan says, answers as the test wants, and watches every rule.
struct World {
    plan: Plan,
    now: Millis,
    jitter: u8,
    given: u64,
    lives: BTreeMap<LeaseId, Life>,
    asking: bool,
    fetching: BTreeSet<LeaseId>,
    fetched: BTreeSet<LeaseId>,
    workers: BTreeSet<LeaseId>,
    killed: BTreeSet<LeaseId>,
    beating: BTreeSet<LeaseId>,
    delivering: BTreeSet<LeaseId>,
    /// The open request for work was cancelled.
    cancelled: bool,
    stopping: bool,
    open: u32,
    /// What has a worker is finished, and nothing else begins.
    finishing: bool,
    begun: BTreeSet<LeaseId>,
    /// Leases whose task synced something.
    synced: BTreeSet<LeaseId>,
    counted: BTreeMap<&'static str, u32>,
}

impl World {
    fn new() -> Self {
        Self {
            plan: Plan::new(PREFETCH, Vec::new(), Vec::new()),
            now: 0,
            jitter: 0,
            given: 0,
            lives: BTreeMap::new(),
            asking: false,
            fetching: BTreeSet::new(),
            fetched: BTreeSet::new(),
            workers: BTreeSet::new(),
            killed: BTreeSet::new(),
            beating: BTreeSet::new(),
            delivering: BTreeSet::new(),
            cancelled: false,
            stopping: false,
            open: 0,
            finishing: false,
            begun: BTreeSet::new(),
            synced: BTreeSet::new(),
            counted: BTreeMap::new(),
        }
    }

    fn tell(&mut self, input: Input) {
        self.plan.handle_input(input, Moment { now: self.now, jitter: self.jitter });
        self.act();
    }

    fn act(&mut self) {
        let actions = actions(&mut self.plan);
        assert!(actions.len() <= 24, "a storm: {actions:?}");
        for action in actions {
            self.perform(action);
        }
        let held = self.lives.values().filter(|life| **life == Life::Held).count();
        assert!(held <= (MOST_WORKERS + PREFETCH) as usize, "{held} leases are held");
        assert!(self.workers.len() <= MOST_WORKERS as usize);
        let due = self.plan.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "something due was left: {due:?} at {}", self.now);
    }

    fn perform(&mut self, action: Action) {
        let life = |world: &Self, lease: &LeaseId| world.lives.get(lease).copied();
        match action {
            Action::Ask => {
                assert!(!std::mem::replace(&mut self.asking, true), "one request at a time");
                assert!(self.open > 0 && !self.finishing && !self.stopping, "no request while held or finishing");
                self.count("ask");
            }
            Action::CancelAsk => {
                assert!(self.asking && !std::mem::replace(&mut self.cancelled, true), "no request to cancel");
            }
            Action::Fetch(lease) => {
                assert_eq!(life(self, &lease), Some(Life::Held));
                assert!(self.fetching.insert(lease));
                self.count("fetch");
            }
            Action::Start(lease) => {
                assert_eq!(life(self, &lease), Some(Life::Held));
                assert!(self.fetched.contains(&lease), "begun without what it needs");
                assert!(self.open as usize > self.workers.len(), "more workers than allowed");
                assert!(self.begun.insert(lease) <= !self.finishing, "begun while the others finish");
                assert!(self.workers.insert(lease), "two workers for one lease");
            }
            Action::Kill(lease) => {
                assert!(self.workers.contains(&lease), "nothing to kill");
                assert!(self.killed.insert(lease), "killed twice");
            }
            Action::Beat(lease, state) => {
                assert!(self.beating.insert(lease), "two heartbeats of one lease under way");
                assert_eq!(state == LeaseState::Delivering, life(self, &lease) == Some(Life::Stored));
                self.count("beat");
            }
            Action::GiveBack(lease, _) => {
                assert_eq!(life(self, &lease), Some(Life::Held), "given back though it was not held");
                assert!(!self.asking, "given back under an open request, which may bring it back");
                assert!(!self.workers.contains(&lease), "given back though its worker may have a result");
                self.lives.insert(lease, Life::GivenBack);
                self.count("give back");
            }
            Action::Deliver(lease) => {
                assert_eq!(life(self, &lease), Some(Life::Stored), "delivered before it was stored");
                assert!(self.delivering.insert(lease), "delivered twice at once");
                self.count("deliver");
            }
            Action::Forget(lease) => {
                assert!(matches!(life(self, &lease), Some(Life::Held | Life::GivenBack)), "{:?}", life(self, &lease));
                assert!(!self.workers.contains(&lease), "forgotten under its worker");
                self.lives.insert(lease, Life::Forgotten);
            }
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counted.entry(what).or_default() += 1;
    }

    fn pick(of: &BTreeSet<LeaseId>, n: u8) -> Option<LeaseId> {
        of.iter().nth(usize::from(n) % of.len().max(1)).copied()
    }

    fn happen(&mut self, chance: &Chance) {
        match *chance {
            Chance::Gate(workers) => {
                (self.open, self.finishing) = (workers, false);
                self.tell(Input::Gate {
                    workers,
                    new_work: if workers > 0 { NewWork::Fetched } else { NewWork::Here },
                });
            }
            Chance::Finish => {
                self.finishing = true;
                self.tell(Input::Gate { workers: self.open, new_work: NewWork::None });
            }
            Chance::Answer { give, expires_in, deadline_in } if self.asking => {
                (self.asking, self.cancelled) = (false, false);
                if !give {
                    return self.tell(Input::Nothing { after: 1_000 });
                }
                self.given += 1;
                let terms = terms(self.given, expires_in, deadline_in);
                self.lives.insert(terms.lease, Life::Held);
                self.tell(Input::Leased(terms));
            }
            Chance::AskFails if self.asking => {
                self.asking = false;
                let cancelled = std::mem::take(&mut self.cancelled);
                self.tell(if cancelled { Input::AskCancelled } else { Input::AskFailed { after: None } });
            }
            Chance::Fetch(n, ref obstacle) => {
                let Some(lease) = Self::pick(&self.fetching, n) else { return };
                self.fetching.remove(&lease);
                match obstacle {
                    None => {
                        self.fetched.insert(lease);
                        self.tell(Input::Fetched(lease));
                    }
                    Some(obstacle) => self.tell(Input::NotFetched(lease, obstacle.clone())),
                }
            }
            Chance::End(n, ref ending) => {
                let Some(lease) = Self::pick(&self.workers, n) else { return };
                self.end(lease, ending.clone());
            }
            Chance::Beat(n, heard) => {
                let Some(lease) = Self::pick(&self.beating, n) else { return };
                self.beating.remove(&lease);
                self.tell(Input::Beaten(lease, heard));
            }
            Chance::Deliver(well) => {
                let Some(lease) = self.delivering.pop_first() else { return };
                if well {
                    self.lives.insert(lease, Life::Delivered);
                    self.tell(Input::Delivered(lease));
                } else {
                    self.tell(Input::DeliveryFailed(lease, None));
                }
            }
            Chance::Pass(time) => self.pass(time),
            Chance::Stop => {
                self.stopping = true;
                self.tell(Input::Stop);
            }
            Chance::Answer { .. } | Chance::AskFails => {}
        }
    }

    fn end(&mut self, lease: LeaseId, ending: Ending) {
        self.workers.remove(&lease);
        self.killed.remove(&lease);
        match ending {
            Ending::Stored => drop(self.lives.insert(lease, Life::Stored)),
            Ending::Lost { further: true, .. } => drop(self.synced.insert(lease)),
            _ => {}
        }
        self.tell(Input::Ended(lease, ending));
    }

    /// Lets time pass, from one due moment to the next.
    fn pass(&mut self, time: Millis) {
        let until = self.now + time;
        while let Some(due) = self.plan.poll_timeout().filter(|due| *due <= until) {
            assert!(due > self.now);
            self.now = due;
            self.wake();
        }
        self.now = until;
        self.wake();
    }

    fn wake(&mut self) {
        self.plan.handle_timeout(Moment { now: self.now, jitter: self.jitter });
        self.act();
    }

    /// The world is kind, until nothing is left to do.
    fn run_down(&mut self) {
        self.happen(&Chance::Gate(2));
        for _ in 0..500 {
            self.happen(&Chance::Answer { give: false, expires_in: 0, deadline_in: 0 });
            self.happen(&Chance::Fetch(0, None));
            self.happen(&Chance::End(0, Ending::Stored));
            self.happen(&Chance::Beat(0, Heard::Extended(60_000)));
            self.happen(&Chance::Deliver(true));
            self.pass(1_000);
        }
    }
}

#[derive(Debug, Clone)]
enum Chance {
    Gate(u32),
    Finish,
    Stop,
    Answer { give: bool, expires_in: Millis, deadline_in: Millis },
    AskFails,
    Fetch(u8, Option<Obstacle>),
    End(u8, Ending),
    Beat(u8, Heard),
    Deliver(bool),
    Pass(Millis),
}

fn any_ending() -> impl Strategy<Value = Ending> {
    let (outcome, code) = (Outcome::Host, Code::word("crashed"));
    let no_vote = |here| Ending::NoVote { outcome: Outcome::Limit, code: Code::word("cpu"), here };
    prop_oneof![
        4 => Just(Ending::Stored),
        2 => any::<bool>().prop_map(move |further| Ending::Lost { outcome, code: code.clone(), further }),
        1 => any::<bool>().prop_map(no_vote),
    ]
}

fn any_chance() -> impl Strategy<Value = Chance> {
    let obstacle = prop_oneof![
        6 => Just(None),
        2 => Just(Some(Obstacle::Line)),
        1 => Just(Some(Obstacle::Host)),
        1 => Just(Some(Obstacle::Unfit)),
    ];
    let heard = prop_oneof![
        6 => (0u64..120_000).prop_map(Heard::Extended),
        1 => Just(Heard::Over),
        2 => Just(Heard::Failed),
    ];
    prop_oneof![
        2 => (0..=MOST_WORKERS).prop_map(Chance::Gate),
        1 => Just(Chance::Finish),
        6 => (prop::bool::weighted(0.8), 0u64..120_000, 0u64..20_000_000)
            .prop_map(|(give, expires_in, deadline_in)| Chance::Answer { give, expires_in, deadline_in }),
        1 => Just(Chance::AskFails),
        6 => (any::<u8>(), obstacle).prop_map(|(n, obstacle)| Chance::Fetch(n, obstacle)),
        4 => (any::<u8>(), any_ending()).prop_map(|(n, ending)| Chance::End(n, ending)),
        6 => (any::<u8>(), heard).prop_map(|(n, heard)| Chance::Beat(n, heard)),
        3 => prop::bool::weighted(0.7).prop_map(Chance::Deliver),
        4 => (0u64..30_000).prop_map(Chance::Pass),
        1 => (0u64..2_000_000).prop_map(Chance::Pass),
    ]
}

proptest! {
    /// The rules that hold at every step are in [`World`].
    #[test]
    fn every_lease_ends_delivered_given_back_or_over(
        history in prop::collection::vec(any_chance(), 0..200),
        jitter in any::<u8>(),
    ) {
        let mut world = World { jitter, ..World::new() };
        for chance in &history {
            world.happen(chance);
        }
        world.run_down();
        for (lease, life) in &world.lives {
            prop_assert!(matches!(life, Life::Delivered | Life::Forgotten), "{} is {:?}", lease, life);
        }
        prop_assert!(world.workers.is_empty());
        prop_assert!(world.plan.tasks.is_empty() && world.plan.delivery.queue.is_empty());
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever keeps failing, it is not tried more often than a person would.
    #[test]
    fn nothing_that_fails_is_repeated_in_a_storm(
        failing in prop::collection::vec(prop_oneof![
            Just(Chance::AskFails),
            Just(Chance::Fetch(0, Some(Obstacle::Line))),
            Just(Chance::Fetch(0, Some(Obstacle::Host))),
            Just(Chance::Fetch(0, None)),
            Just(Chance::End(0, Ending::Lost { outcome: Outcome::Host, code: Code::word("crashed"), further: false })),
            Just(Chance::End(0, Ending::NoVote { outcome: Outcome::Host, code: Code::word("spawn"), here: true })),
            Just(Chance::Beat(0, Heard::Failed)),
            Just(Chance::Deliver(false)),
            Just(Chance::Answer { give: true, expires_in: 60_000, deadline_in: 7_200_000 }),
        ], 1..6),
        flapping in any::<bool>(),
    ) {
        let mut world = World::new();
        world.happen(&Chance::Gate(2));
        for second in 0..3_600u32 {
            if flapping {
                world.happen(&Chance::Gate(second % 2 * 2));
            }
            for chance in &failing {
                world.happen(chance);
            }
            world.pass(1_000);
        }
        for (what, count) in &world.counted {
            // What succeeds now and then is allowed a minute's worth of quick tries after each success.
            prop_assert!(*count <= 1_300, "{} {} times in an hour", what, count);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens before and during a stop: no request is open in the end, and no lease is held but those whose tasks
    /// go on from a checkpoint.
    #[test]
    fn a_stop_leaves_no_lease_behind(
        before in prop::collection::vec(any_chance(), 0..80),
        during in prop::collection::vec(any_chance(), 0..20),
    ) {
        let mut world = World::new();
        for chance in before.iter().chain([&Chance::Stop]).chain(&during) {
            world.happen(chance);
        }
        while let Some(lease) = world.workers.first().copied() {
            world.end(lease, Ending::Lost { outcome: Outcome::Host, code: Code::word("killed"), further: false });
        }
        world.happen(&Chance::AskFails);
        prop_assert!(world.plan.has_stopped() && !world.asking);
        for (lease, life) in &world.lives {
            let left = *life == Life::Held && world.synced.contains(lease);
            prop_assert!(left || matches!(life, Life::Stored | Life::Delivered | Life::Forgotten), "{} is {:?}", lease, life);
        }
    }
}

/// A world whose coordinator always has work of one hour's deadline; every task takes `length`.
fn busy(length: Millis, workers: u32, time: Millis) -> (World, Millis) {
    let mut world = World::new();
    world.happen(&Chance::Gate(workers));
    let mut started = BTreeMap::new();
    let mut idle = 0;
    for _ in 0..time / 1_000 {
        world.happen(&Chance::Answer { give: true, expires_in: 60_000, deadline_in: 36_000_000 });
        world.happen(&Chance::Fetch(0, None));
        for n in 0..world.beating.len() as u8 {
            world.happen(&Chance::Beat(n, Heard::Extended(60_000)));
        }
        world.happen(&Chance::Deliver(true));
        for lease in world.workers.clone() {
            if world.now >= *started.entry(lease).or_insert(world.now) + length {
                world.end(lease, Ending::Stored);
            }
        }
        world.pass(1_000);
        idle += u64::from(workers).saturating_sub(world.workers.len() as u64) * 1_000;
    }
    (world, idle)
}

#[test]
fn a_hold_ends_the_open_request_first() {
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let open = Input::Gate { workers: 1, new_work: NewWork::Fetched };
    assert_eq!(step(&mut plan, open.clone(), at(0)), [Action::Ask]);
    assert_eq!(step(&mut plan, Input::Gate { workers: 0, new_work: NewWork::Here }, at(10)), [Action::CancelAsk]);
    let come = terms(1, 60_000, 36_000_000);
    let back = [Action::GiveBack(come.lease, None), Action::Forget(come.lease)];
    assert_eq!(step(&mut plan, Input::Leased(come), at(20)), back, "its answer was on its way");
    assert_eq!(step(&mut plan, open, at(30)), [], "somebody else is to have it");
    assert_eq!(plan.poll_timeout(), Some(5_020));
}

#[test]
fn a_task_goes_back_when_the_open_request_has_ended() {
    let [first, next] = [1, 2].map(|n| terms(n, 60_000, 36_000_000));
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let _ = step(&mut plan, Input::Gate { workers: 2, new_work: NewWork::Fetched }, at(0));
    assert_eq!(step(&mut plan, Input::Leased(first), at(0)), [Action::Fetch(first.lease), Action::Ask]);
    let unfit = Input::NotFetched(first.lease, Obstacle::Unfit);
    assert_eq!(step(&mut plan, unfit, at(1)), [Action::CancelAsk]);
    let why = Some((Outcome::Invalid, Code::word("task")));
    let back = [Action::GiveBack(first.lease, why), Action::Forget(first.lease), Action::Fetch(next.lease)];
    assert_eq!(step(&mut plan, Input::Leased(next), at(2)), back);
}

#[test]
fn a_stop_gives_back_what_was_killed_and_keeps_what_was_being_stored() {
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let _ = step(&mut plan, Input::Gate { workers: 3, new_work: NewWork::Fetched }, at(0));
    let all = [1, 2, 3].map(|n| terms(n, 60_000, 36_000_000));
    for terms in all {
        let _ = step(&mut plan, Input::Leased(terms), at(0));
        let _ = step(&mut plan, Input::Fetched(terms.lease), at(0));
    }
    let [killed, stored, synced] = all.map(|terms| terms.lease);
    let kills = [Action::CancelAsk, Action::Kill(synced), Action::Kill(stored), Action::Kill(killed)];
    assert_eq!(step(&mut plan, Input::Stop, at(1)), kills);
    assert_eq!(step(&mut plan, Input::AskCancelled, at(2)), []);
    let lost = |further| Ending::Lost { outcome: Outcome::Host, code: Code::word("killed"), further };
    let back = [Action::GiveBack(killed, None), Action::Forget(killed)];
    assert_eq!(step(&mut plan, Input::Ended(killed, lost(false)), at(3)), back);
    assert_eq!(step(&mut plan, Input::Ended(stored, Ending::Stored), at(4)), [], "the next engine delivers it");
    assert!(!plan.has_stopped());
    assert_eq!(step(&mut plan, Input::Ended(synced, lost(true)), at(5)), [], "the next engine goes on with it");
    assert!(plan.has_stopped());
}

#[test]
fn a_result_that_is_being_stored_is_not_given_back() {
    let mut world = running(3_600_000);
    world.happen(&Chance::Gate(0));
    minutes(&mut world, 16);
    assert_eq!((world.counted.get("give back"), world.killed.len()), (None, 1), "paused for too long");
    let lease = *world.workers.first().unwrap();
    world.end(lease, Ending::Stored);
    assert_eq!((world.counted.get("give back"), world.lives[&lease]), (None, Life::Stored));
}

#[test]
fn one_connection_that_leads_nowhere_holds_up_no_other_result() {
    let leases = [1, 2, 3].map(|n| Digest([n; 32]));
    let mut plan = Plan::new(1, Vec::new(), leases.to_vec());
    let at = |now| Moment { now, jitter: 0 };
    let held = Input::Gate { workers: 0, new_work: NewWork::Here };
    assert_eq!(step(&mut plan, held, at(0)), leases.map(Action::Deliver));
    assert_eq!(step(&mut plan, Input::Delivered(leases[1]), at(1)), []);
    assert_eq!(step(&mut plan, Input::DeliveryFailed(leases[2], None), at(2)), []);
    plan.handle_timeout(at(1_002));
    assert_eq!(actions(&mut plan), [Action::Deliver(leases[2])], "while the first hangs still");
}

#[test]
fn a_core_never_waits_for_the_next_task() {
    for length in [5_000, 20_000, 300_000] {
        let (world, idle) = busy(length, 1, 3_600_000);
        let done = world.lives.values().filter(|life| **life == Life::Delivered).count() as u64;
        // The test looks once a second, so that a task takes up to one more.
        assert!(done > 3_600_000 / (length + 1_000) * 9 / 10, "{done} tasks of {length} ms");
        assert!(idle <= 3_000, "{idle} ms without a task, tasks of {length} ms");
    }
}

#[test]
fn a_task_that_waits_behind_a_long_one_is_given_back_once() {
    let (world, _) = busy(3_000_000, 1, 2_900_000);
    assert_eq!(world.counted.get("give back"), Some(&1), "the length of the first is not known");
    let (world, _) = busy(3_000_000, 1, 30_000_000);
    assert!(world.counted["give back"] <= 2, "then it is asked for ahead when the end is near");
}

fn running(deadline_in: Millis) -> World {
    let mut world = World::new();
    world.happen(&Chance::Gate(1));
    world.happen(&Chance::Answer { give: true, expires_in: 60_000, deadline_in });
    world.happen(&Chance::Fetch(0, None));
    assert_eq!(world.workers.len(), 1);
    world
}

/// Passes `minutes`, with every heartbeat answered.
fn minutes(world: &mut World, minutes: u64) {
    for _ in 0..minutes * 6 {
        world.pass(10_000);
        while !world.beating.is_empty() {
            world.happen(&Chance::Beat(0, Heard::Extended(60_000)));
        }
    }
}

#[test]
fn a_task_that_is_paused_for_long_is_given_back_unless_there_is_slack() {
    // Its limit is ten CPU minutes.
    let mut short = running(3_600_000);
    short.happen(&Chance::Gate(0));
    short.happen(&Chance::AskFails);
    minutes(&mut short, 14);
    assert_eq!(short.counted.get("give back"), None);
    minutes(&mut short, 2);
    let killed = Ending::Lost { outcome: Outcome::Host, code: Code::word("killed"), further: false };
    short.end(*short.killed.first().unwrap(), killed);
    assert_eq!(short.counted["give back"], 1);

    let mut long = running(36_000_000);
    long.happen(&Chance::Gate(0));
    minutes(&mut long, 120);
    assert_eq!(long.counted.get("give back"), None);
    long.happen(&Chance::Gate(1));
    assert_eq!(long.workers.len(), 1, "it goes on where it was");
}

#[test]
fn what_the_deadline_does_not_allow_is_not_begun() {
    let mut world = running(36_000_000);
    minutes(&mut world, 30);
    let lease = *world.workers.first().unwrap();
    world.end(lease, Ending::Stored);
    // Half an hour it took; tasks 1 and 3 are of one job.
    world.given += 1;
    world.asking = true;
    world.plan.asking.begin(&mut VecDeque::new());
    world.happen(&Chance::Answer { give: true, expires_in: 60_000, deadline_in: 600_000 });
    assert_eq!(world.counted["give back"], 1);
}

#[test]
fn to_finish_gives_back_what_has_not_begun() {
    let (running, next) = (terms(1, 60_000, 36_000_000), terms(2, 60_000, 36_000_000));
    let mut plan = Plan::new(1, Vec::new(), Vec::new());
    let at = |now| Moment { now, jitter: 0 };
    let _ = step(&mut plan, Input::Gate { workers: 1, new_work: NewWork::Fetched }, at(0));
    for terms in [running, next] {
        let _ = step(&mut plan, Input::Leased(terms), at(0));
        let _ = step(&mut plan, Input::Fetched(terms.lease), at(0));
    }
    let finish = Input::Gate { workers: 1, new_work: NewWork::None };
    assert_eq!(step(&mut plan, finish, at(1)), [Action::GiveBack(next.lease, None), Action::Forget(next.lease)]);
    let late = terms(3, 60_000, 36_000_000);
    let given = step(&mut plan, Input::Leased(late), at(2));
    assert_eq!(given, [Action::GiveBack(late.lease, None), Action::Forget(late.lease)], "it was asked for before");
    let crash = Ending::Lost { outcome: Outcome::Host, code: Code::word("crashed"), further: false };
    assert_eq!(step(&mut plan, Input::Ended(running.lease, crash), at(3)), [Action::Start(running.lease)]);
    assert_eq!(step(&mut plan, Input::Ended(running.lease, Ending::Stored), at(4)), [Action::Deliver(running.lease)]);
}

#[test]
fn to_finish_keeps_what_has_a_checkpoint_of_the_engine_before() {
    let began = Terms { begun: true, ..terms(1, 60_000, 36_000_000) };
    let fresh = terms(2, 60_000, 36_000_000);
    let mut plan = Plan::new(1, vec![began, fresh], Vec::new());
    assert_eq!(plan.begun(), 1);
    let finish = Input::Gate { workers: 1, new_work: NewWork::None };
    let first = step(&mut plan, finish, Moment { now: 0, jitter: 0 });
    assert!(first.contains(&Action::GiveBack(fresh.lease, None)), "{first:?}");
    assert!(!first.contains(&Action::GiveBack(began.lease, None)), "{first:?}");
    assert_eq!(plan.begun(), 1, "it waits for what it needs, and has not ended");
}

#[test]
fn a_lease_of_the_engine_before_is_gone_on_with_or_asked_about() {
    let running = terms(1, 60_000, 3_600_000);
    let doubtful = terms(2, 0, 3_600_000);
    let mut plan = Plan::new(1, vec![running, doubtful], vec![Digest([9; 32])]);
    let at = |now| Moment { now, jitter: 0 };
    let held = step(&mut plan, Input::Gate { workers: 0, new_work: NewWork::Here }, at(0));
    assert_eq!(
        held,
        [
            Action::Fetch(running.lease),
            Action::Beat(running.lease, LeaseState::Paused),
            Action::Deliver(Digest([9; 32]))
        ]
    );
    let open = step(&mut plan, Input::Gate { workers: 2, new_work: NewWork::Fetched }, at(1));
    assert_eq!(open, [Action::Beat(doubtful.lease, LeaseState::Running)]);
    let back = step(&mut plan, Input::Beaten(doubtful.lease, Heard::Extended(60_000)), at(2));
    assert_eq!(back, [Action::Fetch(doubtful.lease)]);

    let mut plan = Plan::new(1, vec![doubtful], Vec::new());
    let _ = step(&mut plan, Input::Gate { workers: 1, new_work: NewWork::Fetched }, at(0));
    let over = step(&mut plan, Input::Beaten(doubtful.lease, Heard::Over), at(1));
    assert_eq!(over, [Action::Forget(doubtful.lease), Action::Ask]);
}

#[test]
fn retries_slow_down_to_a_minute() {
    assert_eq!(delay(None, 1, 0), 1_000);
    for failures in 7..100 {
        assert!((60_000..=75_000).contains(&delay(None, failures, failures as u8)), "{failures}");
    }
    assert_eq!(delay(Some(120_000), 1, 0), 120_000, "the other side's word counts");
    assert_eq!(delay(Some(0), 1, 0), 1_000);
}
