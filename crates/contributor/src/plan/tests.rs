//! A world for the plan. What holds whatever happens in it is in `histories`.

mod cases;
mod histories;

use std::collections::{BTreeMap, BTreeSet};

use surge_protocol::Digest;
use surge_protocol::task::Limits;

use super::*;
use histories::Chance;

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
