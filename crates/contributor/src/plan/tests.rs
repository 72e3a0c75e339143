//! A world for the plan, and what holds whatever happens in it.

mod cases;

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
    /// A task may have been given without an answer that arrived.
    unheard: bool,
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
            unheard: false,
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
        let again = due.is_some_and(|due| due <= self.now + SOON);
        assert!(self.asking || !self.unheard || again, "a lease that nobody knows lives its minute");
        assert!(due.is_none_or(|due| due > self.now), "something due was left: {due:?} at {}", self.now);
    }

    fn perform(&mut self, action: Action) {
        let life = |world: &Self, lease: &LeaseId| world.lives.get(lease).copied();
        match action {
            Action::Ask(asked) => {
                assert_eq!(asked == Asked::Again, self.unheard, "a request without an answer is the next one, too");
                assert!(!std::mem::replace(&mut self.asking, true), "one request at a time");
                assert!(self.open > 0 && !self.finishing && !self.stopping, "no request while held or finishing");
                self.count("ask");
            }
            Action::CancelAsk => {
                assert!(self.asking && !std::mem::replace(&mut self.cancelled, true), "no request to cancel");
            }
            Action::Decline => {
                assert!(!self.asking, "given back under an open request, which may bring it back");
                assert!(std::mem::take(&mut self.unheard), "nothing can have been given");
                self.count("decline");
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
                (self.asking, self.cancelled, self.unheard) = (false, false, false);
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
            Chance::AnswerLost(after) if self.asking => {
                (self.asking, self.cancelled, self.unheard) = (false, false, true);
                self.tell(Input::AnswerLost { after });
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
            Chance::Answer { .. } | Chance::AskFails | Chance::AnswerLost(_) => {}
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
    AnswerLost(Option<Millis>),
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
        2 => prop::option::of(0u64..120_000).prop_map(Chance::AnswerLost),
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
            Just(Chance::AnswerLost(None)),
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
        prop_assert!(world.plan.has_stopped() && !world.asking && !world.unheard);
        for (lease, life) in &world.lives {
            let left = *life == Life::Held && world.synced.contains(lease);
            prop_assert!(left || matches!(life, Life::Stored | Life::Delivered | Life::Forgotten), "{} is {:?}", lease, life);
        }
    }
}
