//! What a run of kills is to do, and what it counts.

use std::collections::BTreeMap;
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

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Engine,
    Worker,
    Coordinator,
    /// `surge status --watch`.
    Watcher,
    /// The shell of a terminal in which the engine was started.
    Terminal,
    /// The desktop app, beside an engine that was there before it.
    Desktop,
    /// The desktop app that started the engine.
    DesktopThatStarted,
}

impl Victim {
    /// How often each is chosen. Before the death of a shell that started the engine, the engine dies once more.
    pub(super) const DEALT: [(Self, usize); 7] = [
        (Self::Engine, 5),
        (Self::Worker, 4),
        (Self::Coordinator, 1),
        (Self::Watcher, 1),
        (Self::Terminal, 1),
        (Self::Desktop, 1),
        (Self::DesktopThatStarted, 1),
    ];

    pub(super) fn needs_display(self) -> bool {
        matches!(self, Self::Desktop | Self::DesktopThatStarted)
    }
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    pub kills: BTreeMap<Victim, u32>,
    /// Why the desktop app was not among the victims; `None` when it was.
    pub no_desktop: Option<String>,
    /// Workers that computed on after the death of a shell.
    pub workers_undisturbed: u32,
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
    /// CPU time that a kill of a running task cost, milliseconds: what was computed again, and another start. Without tasks
    /// that an engine met which the desktop app had started: it makes checkpoints as seldom as usual.
    pub lost_cpu_ms_mean: u64,
    pub lost_cpu_ms_max: u64,
    /// The task behind the greatest: CPU time of its killed workers, of the last one, and its kills.
    pub worst: Option<(u64, u64, u64)>,
}

impl Tally {
    pub(super) fn count(&mut self, victim: Victim) {
        *self.kills.entry(victim).or_default() += 1;
    }

    /// How often `victim` was killed.
    #[must_use]
    pub fn of(&self, victim: Victim) -> u32 {
        self.kills.get(&victim).copied().unwrap_or(0)
    }

    /// All kills.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.kills.values().sum()
    }

    /// How many workers were there for more than a second without an engine.
    #[must_use]
    pub fn unattended(&self) -> usize {
        self.orphans_ms.iter().filter(|ms| **ms > 1_000).count()
    }
}
