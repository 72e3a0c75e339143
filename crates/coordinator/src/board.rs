//! The hot state of dispatch: undecided tasks, running leases, nodes and breakers. Rebuilt from the store at start.
//!
//! It is a plain value that is told what happened and asked what to do; the store is the truth, and every change here
//! follows one there. Deliberately absent: locks, I/O, clocks.

mod node;
mod sweep;
mod task;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use surge_protocol::api::{JobId, LeaseId, LeaseState, SubmitJob, TaskId, task_id};
use surge_protocol::{Address, Digest};

use crate::breaker::{Breaker, Fuse};
use crate::clock::Millis;
use crate::config::Rules;
use crate::matching::{Asker, Candidate, Preference, choose};
use crate::store::{Recovered, Verdict};

pub use node::Ask;
pub use sweep::Sweep;
pub use task::Voted;

use node::Node;
use task::{Live, Open, Plan};

/// See the module.
#[derive(Debug)]
pub struct Board {
    rules: Arc<Rules>,
    tasks: BTreeMap<TaskId, Open>,
    /// The task of every running lease.
    leases: HashMap<LeaseId, TaskId>,
    nodes: HashMap<Address, Node>,
    breakers: HashMap<(Address, Digest), Breaker>,
    /// The task of every lease that expired while its task is undecided.
    lapsed: HashMap<LeaseId, TaskId>,
    /// Running leases by requester.
    running: HashMap<Address, usize>,
}

/// What a node gets, besides its id and times.
#[derive(Debug, Clone)]
pub struct Grant {
    pub task: TaskId,
    pub job: JobId,
    pub index: u64,
    pub order: Arc<SubmitJob>,
}

/// What a request for work gets.
#[derive(Debug)]
pub enum Given {
    /// A task. The caller stores the lease, or takes it back.
    New(Grant),
    /// The task that the request got before. Its lease may be about to be stored.
    Again { grant: Grant, expires_at: Millis },
    /// Nothing fits now.
    NotNow,
    /// Its lease was given back, or is over.
    Never,
}

impl Board {
    /// The board as the store remembers it. Leases that ran get a fresh term, since their nodes could not reach anybody.
    #[must_use]
    pub fn rebuild(recovered: Recovered, rules: Arc<Rules>, now: Millis) -> Self {
        let fuse = fuse(&rules);
        let mut board = Self {
            rules,
            tasks: BTreeMap::new(),
            leases: HashMap::new(),
            lapsed: HashMap::new(),
            nodes: HashMap::new(),
            breakers: HashMap::new(),
            running: HashMap::new(),
        };
        let plans: HashMap<_, _> =
            recovered.jobs.into_iter().map(|(job, order)| (job, Arc::new(Plan::new(job, order)))).collect();
        for task in recovered.tasks {
            let Some(plan) = plans.get(&task.job) else { continue };
            let open = Open { truth_known: task.truth_known, ..Open::new(plan.clone(), task.index, now) };
            board.tasks.insert(task.task, open);
        }
        for vote in recovered.votes {
            board.voted(vote.task, None, Voted { node: vote.node, payout: vote.payout, digest: vote.digest }, now);
        }
        for lease in recovered.leases {
            board.insert(lease.lease, lease.task, lease.node, lease.payout, now);
        }
        for (task, node) in recovered.failures {
            board.tasks.entry(task).and_modify(|open| open.failed_on.push(node));
        }
        for (node, module, faults, at) in recovered.faults {
            let faults = u32::try_from(faults).unwrap_or(u32::MAX);
            board.breakers.insert((node, module), Breaker::recovered(faults, at, fuse));
        }
        for (node, payout) in recovered.nodes {
            board.bind(node, payout);
        }
        board
    }

    pub fn add_job(&mut self, job: JobId, order: &Arc<SubmitJob>, now: Millis) {
        let plan = Arc::new(Plan::new(job, order.clone()));
        for index in 0..order.inputs.len() as u64 {
            self.tasks.entry(task_id(job, index)).or_insert_with(|| Open::new(plan.clone(), index, now));
        }
    }

    /// A node registered, perhaps with another payout than before.
    pub fn bind(&mut self, node: Address, payout: Address) {
        self.nodes.entry(node).or_insert_with(|| Node::new(payout)).payout = payout;
    }

    /// The payout of a registered node.
    #[must_use]
    pub fn payout(&self, node: Address) -> Option<Address> {
        self.nodes.get(&node).map(|node| node.payout)
    }

    /// A node starts to wait for work.
    pub fn asks(&mut self, node: Address, ask: &Ask, now: Millis) {
        self.nodes.entry(node).and_modify(|known| known.asks(ask, now));
    }

    /// A node waits no longer: it was answered, or it went away.
    pub fn asked(&mut self, node: Address, now: Millis) {
        self.nodes.entry(node).and_modify(|known| known.asked(now));
    }

    /// A node gives back a lease, perhaps before it is given.
    pub fn declines(&mut self, lease: LeaseId, node: Address, now: Millis) {
        self.nodes.entry(node).and_modify(|known| known.declines(lease, now));
    }

    /// Whether `node` gave this lease back a short time ago.
    #[must_use]
    pub fn has_declined(&self, lease: LeaseId, node: Address, now: Millis) -> bool {
        self.nodes.get(&node).is_some_and(|known| known.has_declined(lease, now))
    }

    /// Gives `node` the task that fits it best, under `lease`, or the task that it has under `lease` already.
    pub fn give(&mut self, lease: LeaseId, node: Address, ask: &Ask, now: Millis) -> Given {
        if self.has_declined(lease, node, now) || self.lapsed.contains_key(&lease) {
            return Given::Never;
        }
        self.again(lease).unwrap_or_else(|| self.anew(lease, node, ask, now).map_or(Given::NotNow, Given::New))
    }

    fn again(&mut self, lease: LeaseId) -> Option<Given> {
        let task = *self.leases.get(&lease)?;
        let live = self.tasks.get_mut(&task)?.live.iter_mut().find(|live| live.lease == lease)?;
        live.awaited = true;
        let expires_at = live.expires_at;
        Some(Given::Again { grant: self.grant(task)?, expires_at })
    }

    /// Whether a repeated request waits until this lease is stored.
    #[must_use]
    pub fn is_awaited(&self, lease: LeaseId) -> bool {
        let open = self.leases.get(&lease).and_then(|task| self.tasks.get(task));
        open.is_some_and(|open| open.live.iter().any(|live| live.lease == lease && live.awaited))
    }

    fn anew(&mut self, lease: LeaseId, node: Address, ask: &Ask, now: Millis) -> Option<Grant> {
        let payout = self.payout(node)?;
        let asker =
            Asker { node, payout, free_memory: ask.free_memory, load_percent: ask.load_percent, held: &ask.held };
        let preference = Preference { highest_load: self.rules.highest_load, locality_wait: self.rules.locality_wait };
        let task = choose(&asker, self.candidates(node, now), preference, now)?;
        let grant = self.grant(task)?;
        self.insert(lease, task, node, payout, now);
        Some(grant)
    }

    fn candidates(&self, node: Address, now: Millis) -> impl Iterator<Item = Candidate<'_>> {
        let wanting = self.tasks.iter().filter(move |(_, open)| open.wants(now));
        wanting.map(move |(task, open)| {
            let order = &open.plan.order;
            Candidate {
                task: *task,
                requester: order.requester,
                memory_bytes: order.limits.memory_bytes,
                deadline: open.plan.deadline,
                index: open.index,
                blobs: &open.plan.blobs,
                waiting_since: open.wanting_since,
                participants: open.participants(),
                half_done: !open.votes.is_empty(),
                failed_here: open.failed_on.contains(&node),
                requester_running: self.running.get(&order.requester).copied().unwrap_or(0),
                breaker_open: self.breaker_open(node, order.module.digest, now),
            }
        })
    }

    fn insert(&mut self, lease: LeaseId, task: TaskId, node: Address, payout: Address, now: Millis) {
        let Some(open) = self.tasks.get_mut(&task) else { return };
        let expires_at = now.saturating_add(self.rules.lease).min(open.plan.deadline);
        open.live.push(Live { lease, node, payout, issued_at: now, expires_at, paused_since: None, awaited: false });
        self.leases.insert(lease, task);
        *self.running.entry(open.plan.order.requester).or_default() += 1;
    }

    /// Until when a heartbeat extends a lease; `None` when it is over and the node should stop.
    pub fn beat(&mut self, lease: LeaseId, node: Address, state: LeaseState, now: Millis) -> Option<Millis> {
        let paused = state == LeaseState::Paused;
        self.nodes.entry(node).and_modify(|known| known.beats(paused, now));
        let task = *self.leases.get(&lease).or_else(|| self.lapsed.get(&lease))?;
        if state == LeaseState::Running {
            self.revive(lease, task, now);
        }
        let open = self.tasks.get_mut(&task)?;
        let deadline = open.plan.deadline;
        let slack = open.plan.order.limits.has_slack(deadline.saturating_sub(now));
        if let Some(live) = open.live.iter_mut().find(|live| live.lease == lease && live.node == node) {
            return live.extend(paused && !slack, deadline, &self.rules, now);
        }
        // A finished result is welcome as long as its task is undecided.
        let delivers = state == LeaseState::Delivering && open.lapsed.iter().any(|live| live.lease == lease);
        (delivers && now < deadline).then(|| now.saturating_add(self.rules.lease).min(deadline))
    }

    /// A node whose lease expired goes on with it, unless somebody else took its place.
    fn revive(&mut self, lease: LeaseId, task: TaskId, now: Millis) {
        let Some(open) = self.tasks.get_mut(&task).filter(|open| open.wants(now)) else { return };
        let Some(at) = open.lapsed.iter().position(|live| live.lease == lease) else { return };
        let lapsed = open.lapsed.swap_remove(at);
        let taken = open.participants().iter().any(|(_, payout)| *payout == lapsed.payout);
        self.lapsed.remove(&lease);
        if !taken {
            self.insert(lease, task, lapsed.node, lapsed.payout, now);
        }
    }

    /// A lease ended without a vote.
    pub fn end(&mut self, lease: LeaseId, now: Millis) {
        self.take(lease, now);
    }

    fn take(&mut self, lease: LeaseId, now: Millis) -> Option<Live> {
        let task = self.leases.remove(&lease)?;
        let open = self.tasks.get_mut(&task)?;
        let at = open.live.iter().position(|live| live.lease == lease)?;
        open.wanting_since = now;
        if let Some(count) = self.running.get_mut(&open.plan.order.requester) {
            *count = count.saturating_sub(1);
        }
        Some(open.live.swap_remove(at))
    }

    /// A lease's host failed at its task.
    pub fn failed(&mut self, task: TaskId, node: Address, module: Digest, now: Millis) {
        self.tasks.entry(task).and_modify(|open| open.failed_on.push(node));
        let fuse = fuse(&self.rules);
        self.breakers.entry((node, module)).or_default().failed(now, fuse);
    }

    /// A result arrived that decides nothing yet.
    pub fn voted(&mut self, task: TaskId, lease: Option<LeaseId>, vote: Voted, now: Millis) {
        if let Some(lease) = lease {
            self.end(lease, now);
        }
        let Some(open) = self.tasks.get_mut(&task) else { return };
        if !open.votes.iter().any(|known| known.payout == vote.payout) {
            open.votes.push(vote);
            open.wanting_since = now;
        }
    }

    /// A verdict was stored.
    pub fn judged(&mut self, verdict: &Verdict, now: Millis) {
        let fuse = fuse(&self.rules);
        for node in &verdict.accepted {
            self.breakers.entry((*node, verdict.module)).and_modify(Breaker::accepted);
        }
        for node in &verdict.astray {
            // Not its fault; but a node that this keeps happening to is of no use to the job.
            self.breakers.entry((*node, verdict.module)).or_default().failed(now, fuse);
        }
        for fault in &verdict.faults {
            self.breakers.entry((fault.node, verdict.module)).or_default().fault(now, fuse);
        }
        if verdict.decided {
            self.close(verdict.task, now);
        } else if let Some(open) = self.tasks.get_mut(&verdict.task) {
            open.truth_known = true;
            open.replaying = false;
            open.wanting_since = now;
        }
    }

    /// A task is over; its leases are, too.
    pub fn close(&mut self, task: TaskId, now: Millis) {
        let Some(open) = self.tasks.get(&task) else { return };
        let live: Vec<_> = open.live.iter().map(|live| live.lease).collect();
        for live in &open.lapsed {
            self.lapsed.remove(&live.lease);
        }
        for lease in live {
            self.end(lease, now);
        }
        self.tasks.remove(&task);
    }

    /// What a replay needs to know of an undecided task.
    #[must_use]
    pub fn grant(&self, task: TaskId) -> Option<Grant> {
        let open = self.tasks.get(&task)?;
        Some(Grant { task, job: open.plan.job, index: open.index, order: open.plan.order.clone() })
    }

    /// The coordinator failed to compute a task. `true`: it tried often enough.
    pub fn replay_failed(&mut self, task: TaskId) -> bool {
        let Some(open) = self.tasks.get_mut(&task) else { return false };
        open.replaying = false;
        open.replays_failed += 1;
        open.replays_failed >= self.rules.replay_attempts
    }

    /// Which open tasks of `job` run now: leased, or being replayed.
    #[must_use]
    pub fn job_running(&self, job: JobId) -> u64 {
        self.tasks.values().filter(|open| open.plan.job == job && open.runs()).count() as u64
    }

    /// Open tasks that wait, open tasks that run, and nodes that are present.
    #[must_use]
    pub fn counts(&self, now: Millis) -> (u64, u64, u64) {
        let running = self.tasks.values().filter(|open| open.runs()).count();
        let present = self.nodes.values().filter(|node| node.present(self.rules.presence, now)).count();
        ((self.tasks.len() - running) as u64, running as u64, present as u64)
    }

    fn breaker_open(&self, node: Address, module: Digest, now: Millis) -> bool {
        self.breakers.get(&(node, module)).is_some_and(|breaker| breaker.is_open(now))
    }

    /// Payouts that could take a replica of `open`, besides those that have one.
    fn available(&self, open: &Open, now: Millis) -> usize {
        let order = &open.plan.order;
        let taken: HashSet<_> = open.participants().into_iter().map(|(_, payout)| payout).collect();
        let able = self.nodes.iter().filter(|(node, known)| {
            known.present(self.rules.presence, now)
                && !known.paused
                && known.free_memory >= order.limits.memory_bytes
                && !taken.contains(&known.payout)
                && !self.breaker_open(**node, order.module.digest, now)
        });
        able.map(|(_, known)| known.payout).collect::<HashSet<_>>().len()
    }
}

fn fuse(rules: &Rules) -> Fuse {
    Fuse { after: rules.breaker_after, hold: rules.breaker_for }
}
