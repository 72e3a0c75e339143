//! The coordinator's parameters, in one place, with the values that a network starts with.
//!
//! Deliberately absent: reading them from anywhere. The binary parses its arguments once and fills this in.

use crate::clock::Millis;

/// When a task that its nodes keep failing at is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    /// Different nodes that failed at it.
    pub nodes: u64,
    /// Failures in total, for networks of few nodes.
    pub total: u64,
}

impl FailureLimits {
    #[must_use]
    pub const fn reached(self, nodes: u64, total: u64) -> bool {
        nodes >= self.nodes || total >= self.total
    }
}

/// How a coordinator behaves. Times are milliseconds.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A lease ends so long after its last heartbeat.
    pub lease: Millis,
    /// A task that is paused for so long is given to somebody else.
    pub longest_pause: Millis,
    /// No heartbeat keeps a lease longer.
    pub longest_lease: Millis,
    /// A node without a request for so long is taken for gone.
    pub presence: Millis,
    /// How long a task waits for a node that holds its data.
    pub locality_wait: Millis,
    /// A node whose other programs use more than this, percent of all cores, gets no task.
    pub highest_load: f32,
    /// With fewer nodes than the quorum for so long, the coordinator computes a task itself.
    pub replay_after: Millis,
    /// Times that the coordinator tries to compute a task before it gives the task up.
    pub replay_attempts: u32,
    /// Faults, or failures in a row, of a node with a module that open its breaker.
    pub breaker_after: u32,
    /// How long an open breaker keeps a module from a node.
    pub breaker_for: Millis,
    pub failures: FailureLimits,
    /// How long a session's token is good.
    pub session: Millis,
    /// How far the clocks of a signer and the coordinator may differ.
    pub clock_skew: Millis,
    /// Tasks of one job.
    pub most_tasks: usize,
    /// The farthest deadline, from now. At most the Settlement contract's exit delay.
    pub longest_deadline: Millis,
    /// Receipts wait at most so long for their epoch.
    pub epoch_every: Millis,
    /// How often the chain is looked at.
    pub chain_every: Millis,
    /// The pause before the first retry when the chain cannot be reached; it doubles up to a minute.
    pub chain_retry: Millis,
    /// Receipts of one epoch.
    pub most_receipts: u32,
    /// How often leases, deadlines and starved tasks are looked at.
    pub sweep_every: Millis,
    /// A request's body must arrive within this time; of an upload, each piece.
    pub body_wait: Millis,
}

impl Default for Rules {
    fn default() -> Self {
        const SECOND: Millis = 1_000;
        const MINUTE: Millis = 60 * SECOND;
        const DAY: Millis = 24 * 60 * MINUTE;
        Self {
            lease: MINUTE,
            longest_pause: 15 * MINUTE,
            longest_lease: DAY,
            presence: 30 * SECOND,
            locality_wait: 5 * SECOND,
            highest_load: 90.0,
            replay_after: 30 * SECOND,
            replay_attempts: 3,
            breaker_after: 3,
            breaker_for: 10 * MINUTE,
            failures: FailureLimits { nodes: 3, total: 8 },
            session: DAY,
            clock_skew: 5 * MINUTE,
            most_tasks: 10_000,
            longest_deadline: 7 * DAY,
            epoch_every: 60 * MINUTE,
            chain_every: SECOND,
            chain_retry: SECOND,
            most_receipts: 10_000,
            sweep_every: SECOND / 4,
            body_wait: 30 * SECOND,
        }
    }
}
