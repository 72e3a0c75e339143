//! An undecided task and its running leases.

use std::sync::Arc;

use surge_protocol::api::{JobId, LeaseId, SubmitJob};
use surge_protocol::{Address, Digest};

use crate::clock::Millis;
use crate::config::Rules;
use crate::verify::{self, Case};

/// What the tasks of a job share.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) job: JobId,
    pub(super) order: Arc<SubmitJob>,
    /// Module and data sets.
    pub(super) blobs: Vec<Digest>,
    pub(super) deadline: Millis,
}

impl Plan {
    pub(super) fn new(job: JobId, order: Arc<SubmitJob>) -> Self {
        let blobs = std::iter::once(order.module.digest).chain(order.data.iter().map(|data| data.digest)).collect();
        let deadline = order.deadline.saturating_mul(1_000);
        Self { job, order, blobs, deadline }
    }
}

/// A result that decides nothing yet.
#[derive(Debug, Clone, Copy)]
pub struct Voted {
    pub node: Address,
    pub payout: Address,
    pub digest: Digest,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) plan: Arc<Plan>,
    pub(super) index: u64,
    pub(super) live: Vec<Live>,
    /// Leases that expired: their nodes may come back.
    pub(super) lapsed: Vec<Live>,
    pub(super) votes: Vec<Voted>,
    pub(super) failed_on: Vec<Address>,
    pub(super) truth_known: bool,
    /// The coordinator is about to compute it, or does.
    pub(super) replaying: bool,
    pub(super) replays_failed: u32,
    /// Since when nothing happened to it.
    pub(super) wanting_since: Millis,
}

impl Open {
    pub(super) const fn new(plan: Arc<Plan>, index: u64, now: Millis) -> Self {
        Self {
            plan,
            index,
            live: Vec::new(),
            lapsed: Vec::new(),
            votes: Vec::new(),
            failed_on: Vec::new(),
            truth_known: false,
            replaying: false,
            replays_failed: 0,
            wanting_since: now,
        }
    }

    pub(super) fn participants(&self) -> Vec<(Address, Address)> {
        let running = self.live.iter().map(|live| (live.node, live.payout));
        running.chain(self.votes.iter().map(|vote| (vote.node, vote.payout))).collect()
    }

    pub(super) fn runs(&self) -> bool {
        self.replaying || !self.live.is_empty()
    }

    pub(super) fn wants(&self, now: Millis) -> bool {
        !self.replaying && self.judge(0, now, |case| verify::wanted(case) > 0)
    }

    /// Asks `verify` about this task.
    pub(super) fn judge<T>(&self, available: usize, now: Millis, question: impl FnOnce(&Case<'_>) -> T) -> T {
        let votes: Vec<_> =
            self.votes.iter().map(|vote| verify::Vote { payout: vote.payout, digest: vote.digest }).collect();
        question(&Case {
            votes: &votes,
            quorum: self.plan.order.quorum,
            truth_known: self.truth_known,
            live: self.live.len(),
            available,
            starved_for: now.saturating_sub(self.wanting_since),
            past_deadline: now >= self.plan.deadline,
        })
    }
}

/// A running lease.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) lease: LeaseId,
    pub(super) node: Address,
    pub(super) payout: Address,
    pub(super) issued_at: Millis,
    pub(super) expires_at: Millis,
    pub(super) paused_since: Option<Millis>,
    /// A repeated request waits until it is stored.
    pub(super) awaited: bool,
}

impl Live {
    /// Extends the lease by one term from `now`, as far as pauses without slack, its age and the job's deadline allow.
    pub(super) fn extend(&mut self, paused: bool, deadline: Millis, rules: &Rules, now: Millis) -> Option<Millis> {
        self.paused_since = paused.then(|| self.paused_since.unwrap_or(now));
        let rest = self.paused_since.map_or(Millis::MAX, |since| since.saturating_add(rules.longest_pause));
        let oldest = self.issued_at.saturating_add(rules.longest_lease);
        let until = now.saturating_add(rules.lease).min(rest).min(oldest).min(deadline);
        self.expires_at = self.expires_at.max(until).min(deadline);
        (now < self.expires_at).then_some(self.expires_at)
    }
}
