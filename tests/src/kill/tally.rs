//! What a run of kills is to do, and what it counts.

use std::time::Duration;

/// How it is done.
#[derive(Debug, Clone)]
pub struct Plan {
    pub kills: u32,
    /// The same seed chooses the same victims and pauses.
    pub seed: u64,
    /// The longest pause between two kills.
    pub pause: Duration,
    /// CPU time between two checkpoints.
    pub checkpoint: Duration,
    /// Rounds of a task, and steps of each, about a nanosecond long.
    pub rounds: u64,
    pub steps: u64,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    pub engine_kills: u32,
    pub worker_kills: u32,
    pub coordinator_kills: u32,
    /// Running tasks that a kill met.
    pub tasks_hit: u32,
    pub tasks_done: u64,
    /// Results that say that they went on from a checkpoint.
    pub resumed: u32,
    /// Finished results that were in the engine's database at a kill.
    pub finished_seen: usize,
    /// Of these, not delivered in the end.
    pub lost: usize,
    /// Payments beyond one for each task.
    pub paid_twice: i64,
    /// Databases that were not whole after a kill.
    pub corrupt: u32,
    /// How long each worker was there after its engine's death, milliseconds, shortest first.
    pub orphans_ms: Vec<u64>,
    /// CPU time of a task that nothing happened to, milliseconds.
    pub undisturbed_cpu_ms: u64,
    /// CPU time that a kill of a running task cost, milliseconds: what was computed again, and another start.
    pub lost_cpu_ms_mean: u64,
    pub lost_cpu_ms_max: u64,
    /// The task behind the greatest: CPU time of its killed workers, of the last one, and its kills.
    pub worst: Option<(u64, u64, u64)>,
}

impl Tally {
    /// How many workers were there for more than a second without an engine.
    #[must_use]
    pub fn unattended(&self) -> usize {
        self.orphans_ms.iter().filter(|ms| **ms > 1_000).count()
    }
}
