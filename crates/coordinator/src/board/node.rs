//! What is known of a node from its own requests.

use std::collections::HashSet;

use surge_protocol::{Address, Digest};

use crate::clock::Millis;

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
}

impl Node {
    pub(super) const fn new(payout: Address) -> Self {
        Self { payout, free_memory: 0, paused: false, last_seen: None, asking: 0 }
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

    pub(super) fn present(&self, within: Millis, now: Millis) -> bool {
        self.asking > 0 || self.last_seen.is_some_and(|seen| now.saturating_sub(seen) <= within)
    }
}
