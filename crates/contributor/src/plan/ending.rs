//! How tasks end: by themselves, because they are for somebody else, or because the engine stops.

use surge_protocol::api::LeaseId;

use super::task::Phase;
use super::{Action, Ending, MOST_TRIES, Millis, Moment, NewWork, Plan, Why, delay};

impl Plan {
    /// Ends everything in order: first the open request for work, then the workers, then what is held. A task that can go
    /// on from a checkpoint is left to the next engine.
    pub(super) fn stop(&mut self) {
        (self.stopping, self.workers) = (true, 0);
        self.asking.cancel(&mut self.actions);
        for at in (0..self.tasks.len()).rev() {
            let task = &mut self.tasks[at];
            let lease = task.terms.lease;
            match task.phase {
                Phase::Running => {
                    // It may have ended by itself: then its result is being stored, and is told.
                    task.phase = Phase::Leaving;
                    self.actions.push_back(Action::Kill(lease));
                }
                Phase::Leaving => {}
                _ if task.checkpoint => drop(self.tasks.remove(at)),
                _ => self.drop_task(lease, Some(None)),
            }
        }
    }

    /// After [`Input::Stop`]: whether no request is open, no worker is left, and every lease that goes back is on its way.
    pub(crate) fn has_stopped(&self) -> bool {
        self.stopping && self.tasks.is_empty() && self.asking.is_over()
    }

    pub(super) fn ended(&mut self, lease: LeaseId, ending: Ending, moment: Moment) {
        self.overreached = false;
        let stopping = self.stopping;
        let Some(task) = self.task(lease) else { return };
        let (killed, given_up) = (task.phase == Phase::Leaving, task.given_up.take());
        let (job, length) = (task.terms.job, task.ran(moment.now));
        let (beat_at, beating) = (task.beat_at, task.beating);
        // Its worker is gone: nothing is to be killed any more.
        task.phase = Phase::Leaving;
        match (ending, given_up) {
            (Ending::Stored, _) => {
                self.host_failures = 0;
                self.remember(job, length);
                self.tasks.retain(|task| task.terms.lease != lease);
                self.delivery.add(lease, beat_at, beating);
            }
            (Ending::Unstored, _) => self.tasks.retain(|task| task.terms.lease != lease),
            (_, Some(told)) => self.drop_task(lease, told),
            (Ending::Lost { further, .. }, None) if stopping && killed => {
                if task.checkpoint || further {
                    // The next engine goes on from there.
                    self.tasks.retain(|task| task.terms.lease != lease);
                } else {
                    self.drop_task(lease, Some(None));
                }
            }
            (Ending::Lost { further, .. }, None) if further || task.tries < MOST_TRIES => {
                task.tries = if further { 0 } else { task.tries + 1 };
                task.checkpoint |= further;
                task.phase = Phase::Ready { since: moment.now };
            }
            (Ending::Lost { outcome, code, .. }, None) => {
                self.trouble_here(moment);
                self.drop_task(lease, Some(Some((outcome, code))));
            }
            (Ending::NoVote { outcome, code, here }, None) => {
                if here {
                    self.trouble_here(moment);
                } else {
                    self.host_failures = 0;
                }
                self.drop_task(lease, Some(Some((outcome, code))));
            }
        }
        self.pause_and_resume(moment.now);
    }

    /// Ends what will not be finished: it is for somebody else.
    pub(super) fn let_go(&mut self, now: Millis) {
        for at in (0..self.tasks.len()).rev() {
            let task = &self.tasks[at];
            if task.phase == Phase::Leaving {
                continue;
            }
            let lease = task.terms.lease;
            let begins = self.new_work != NewWork::None || task.has_begun();
            if now >= task.deadline {
                // The coordinator knows that.
                self.drop_task(lease, None);
            } else if !begins || task.hopeless(self.length(task), now) {
                self.drop_task(lease, Some(None));
            } else if task.waited_too_long(now) {
                self.overreached = true;
                self.drop_task(lease, Some(None));
            }
        }
    }

    /// Gives back what is for somebody else, as soon as no request for work is open that could bring it back here.
    pub(super) fn give_back(&mut self, now: Millis) {
        for (lease, why) in self.asking.returns(&mut self.actions) {
            if why.is_none() {
                self.asking.lull(now);
            }
            self.actions.extend([Action::GiveBack(lease, why), Action::Forget(lease)]);
        }
    }

    /// Ends a task. `told`: the coordinator is told, with a failure of this host if there was one. While there is a worker,
    /// it may have a result that is being stored: whether the task goes back is decided when the worker has ended.
    pub(super) fn drop_task(&mut self, lease: LeaseId, told: Option<Why>) {
        let Some(at) = self.tasks.iter().position(|task| task.terms.lease == lease) else { return };
        if self.tasks[at].phase == Phase::Running {
            (self.tasks[at].phase, self.tasks[at].given_up) = (Phase::Leaving, Some(told));
            self.actions.push_back(Action::Kill(lease));
            return;
        }
        self.tasks.remove(at);
        match told {
            Some(why) => self.asking.give_back(lease, why),
            None => self.actions.push_back(Action::Forget(lease)),
        }
    }

    /// Nothing new for a while: what fails here would fail again.
    pub(super) fn trouble_here(&mut self, moment: Moment) {
        self.host_failures += 1;
        self.asking.wait(moment.now, delay(None, self.host_failures + 2, moment.jitter));
    }
}
