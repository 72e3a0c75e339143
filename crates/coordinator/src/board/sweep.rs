//! What has fallen due: expired leases, tasks to compute here, tasks beyond hope.

use surge_protocol::api::{LeaseId, TaskId};

use super::Board;
use crate::clock::Millis;
use crate::verify::{self, Reason};

/// Everything that is due at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    pub expired: Vec<LeaseId>,
    /// Tasks that the coordinator should compute itself. They count as running from now on.
    pub replay: Vec<(TaskId, Reason)>,
    /// Tasks past their deadline that nothing will validate any more.
    pub hopeless: Vec<TaskId>,
}

impl Board {
    /// Ends what expired and names what is due.
    pub fn sweep(&mut self, now: Millis) -> Sweep {
        let mut due = Sweep { expired: self.expire(now), ..Sweep::default() };
        let mut idle = Vec::new();
        for (task, open) in &self.tasks {
            if open.replaying || !open.live.is_empty() {
                continue;
            }
            let late = now >= open.plan.deadline;
            if late && (open.votes.is_empty() || open.truth_known) {
                due.hopeless.push(*task);
            } else if !open.votes.is_empty() {
                idle.push(*task);
            }
        }
        for task in idle {
            if let Some(reason) = self.replay_due(task, now) {
                due.replay.push((task, reason));
            }
        }
        due
    }

    fn expire(&mut self, now: Millis) -> Vec<LeaseId> {
        let leases = self.tasks.values().flat_map(|open| &open.live);
        let expired: Vec<_> = leases.filter(|live| live.expires_at <= now).map(|live| live.lease).collect();
        for lease in &expired {
            self.lapse(*lease, now);
        }
        expired
    }

    fn lapse(&mut self, lease: LeaseId, now: Millis) {
        let Some(task) = self.leases.get(&lease).copied() else { return };
        let Some(live) = self.take(lease, now) else { return };
        self.lapsed.insert(lease, task);
        self.tasks.entry(task).and_modify(|open| open.lapsed.push(live));
    }

    fn replay_due(&mut self, task: TaskId, now: Millis) -> Option<Reason> {
        let open = self.tasks.get(&task)?;
        let available = self.available(open, now);
        let reason = open.judge(available, now, |case| verify::replay(case, self.rules.replay_after))?;
        self.tasks.get_mut(&task)?.replaying = true;
        Some(reason)
    }
}
