//! One leased task on its way: what it waits for, when it must be heard of, whether it will still be finished in time.

use surge_protocol::api::{JobId, LeaseId};
use surge_protocol::task::Limits;

use super::{LONGEST_PAUSE, LONGEST_WAIT, Millis, Why};

/// What the plan must know of a lease. Times are from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) lease: LeaseId,
    pub(crate) job: JobId,
    pub(crate) limits: Limits,
    /// 0 when it may be over already.
    pub(crate) expires_in: Millis,
    /// `None` when it is not known.
    pub(crate) deadline_in: Option<Millis>,
    /// There is a checkpoint to go on from.
    pub(crate) begun: bool,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// An engine before this one held it, and its lease may be over: the coordinator is asked before anything is done.
    Doubtful,
    /// What it needs is fetched at that time.
    Unfetched {
        again_at: Millis,
    },
    Fetching,
    /// All is here; it waits for a worker.
    Ready {
        since: Millis,
    },
    /// It has a worker, which may be suspended.
    Running,
    /// Its worker was killed, and is not gone yet.
    Leaving,
}

#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) terms: Terms,
    pub(super) phase: Phase,
    pub(super) deadline: Millis,
    pub(super) beat_at: Millis,
    /// A heartbeat is on its way.
    pub(super) beating: bool,
    pub(super) beat_failures: u32,
    pub(super) paused_since: Option<Millis>,
    /// For how long it ran before it was last paused.
    pub(super) ran_before: Millis,
    pub(super) running_since: Option<Millis>,
    /// Workers that came to a bad end without getting further.
    pub(super) tries: u32,
    pub(super) fetches: u32,
    /// It has synced something: a worker, of this engine or of the next, can go on from there.
    pub(super) checkpoint: bool,
    /// It is not gone on with: what the coordinator is told when its worker is gone without a result.
    pub(super) given_up: Option<Option<Why>>,
}

impl Task {
    /// A task that was just given.
    pub(super) fn leased(terms: Terms, now: Millis) -> Self {
        Self {
            phase: Phase::Unfetched { again_at: now },
            deadline: terms.deadline_in.map_or(Millis::MAX, |left| now.saturating_add(left)),
            beat_at: now + terms.expires_in / 3,
            beating: false,
            beat_failures: 0,
            paused_since: None,
            ran_before: 0,
            running_since: None,
            tries: 0,
            fetches: 0,
            checkpoint: terms.begun,
            given_up: None,
            terms,
        }
    }

    /// A task that an engine before this one had, at time 0.
    pub(super) fn recovered(terms: Terms) -> Self {
        let phase = if terms.expires_in == 0 { Phase::Doubtful } else { Phase::Unfetched { again_at: 0 } };
        Self { phase, beat_at: 0, ..Self::leased(terms, 0) }
    }

    pub(super) const fn has_worker(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Leaving)
    }

    /// Whether something was computed that would be lost: it has, or had, a worker of this engine, or a checkpoint.
    pub(super) fn has_begun(&self) -> bool {
        self.has_worker() || self.ran_before > 0 || self.tries > 0 || self.terms.begun
    }

    /// How long it has run, pauses left out.
    pub(super) fn ran(&self, now: Millis) -> Millis {
        self.ran_before + self.running_since.map_or(0, |since| now.saturating_sub(since))
    }

    pub(super) fn set_running(&mut self, runs: bool, now: Millis) {
        if runs == self.running_since.is_some() {
            return;
        }
        self.ran_before = self.ran(now);
        self.running_since = runs.then_some(now);
    }

    /// When its lease must be heard of. `may_run`: work is not held.
    pub(super) fn beat_due(&self, may_run: bool) -> Option<Millis> {
        let silent = match self.phase {
            Phase::Leaving => true,
            // Only who goes on with it may ask for it back.
            Phase::Doubtful => !may_run,
            _ => false,
        };
        (!self.beating && !silent).then_some(self.beat_at)
    }

    /// When it is to be looked at, at the latest.
    pub(super) fn due(&self, may_run: bool) -> Option<Millis> {
        let again = match self.phase {
            Phase::Leaving => return None,
            Phase::Unfetched { again_at } => Some(again_at),
            _ => None,
        };
        [self.beat_due(may_run), again, Some(self.deadline)].into_iter().flatten().min()
    }

    /// Whether it will not be finished in time, or keeps somebody else from it. `length`: what a task of this job takes.
    pub(super) fn hopeless(&self, length: Option<Millis>, now: Millis) -> bool {
        let left = self.deadline.saturating_sub(now);
        let rests = self.phase != Phase::Doubtful
            && self.paused_since.is_some_and(|since| now >= since + LONGEST_PAUSE)
            && !self.terms.limits.has_slack(left);
        // Tasks of a job are not all alike: one that would have to be twice as fast as the last is given up.
        let late = length.is_some_and(|length| left < length.saturating_sub(self.ran(now)) / 2);
        rests || late
    }

    /// Whether it waited behind others for so long that it is for somebody else.
    pub(super) fn waited_too_long(&self, now: Millis) -> bool {
        matches!(self.phase, Phase::Ready { since } if now >= since + LONGEST_WAIT)
    }
}
