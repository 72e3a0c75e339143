//! What is known of a node from its own requests.

use std::collections::{HashSet, VecDeque};

use surge_protocol::api::LeaseId;
use surge_protocol::{Address, Digest};

use crate::clock::Millis;

/// How long it is remembered that a lease was given back. The longest request for work is shorter.
const DECLINED_FOR: Millis = 60_000;
/// How many of these are remembered of one node, the newest of them.
const MOST_DECLINED: usize = 64;

/// What a node says of itself when it asks for work.
#[derive(Debug, Clone)]
pub struct Ask {
    pub free_memory: u64,
    pub load_percent: f32,
    pub held: HashSet<Digest>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) payout: Address,
    pub(super) free_memory: u64,
    pub(super) paused: bool,
    last_seen: Option<Millis>,
    /// Requests for work that wait for an answer now.
    asking: usize,
    /// Leases that it gave back, whether or not they were given, and until when that is remembered.
    declined: VecDeque<(LeaseId, Millis)>,
}

impl Node {
    pub(super) const fn new(payout: Address) -> Self {
        Self { payout, free_memory: 0, paused: false, last_seen: None, asking: 0, declined: VecDeque::new() }
    }

    pub(super) const fn asks(&mut self, ask: &Ask, now: Millis) {
        self.free_memory = ask.free_memory;
        self.paused = false;
        self.last_seen = Some(now);
        self.asking += 1;
    }

    pub(super) const fn asked(&mut self, now: Millis) {
        self.last_seen = Some(now);
        self.asking = self.asking.saturating_sub(1);
    }

    pub(super) const fn beats(&mut self, paused: bool, now: Millis) {
        self.paused = paused;
        self.last_seen = Some(now);
    }

    pub(super) fn declines(&mut self, lease: LeaseId, now: Millis) {
        self.declined.retain(|(known, until)| *until > now && *known != lease);
        if self.declined.len() >= MOST_DECLINED {
            self.declined.pop_front();
        }
        self.declined.push_back((lease, now.saturating_add(DECLINED_FOR)));
    }

    pub(super) fn has_declined(&self, lease: LeaseId, now: Millis) -> bool {
        self.declined.iter().any(|(known, until)| *known == lease && now < *until)
    }

    pub(super) fn present(&self, within: Millis, now: Millis) -> bool {
        self.asking > 0 || self.last_seen.is_some_and(|seen| now.saturating_sub(seen) <= within)
    }
}
