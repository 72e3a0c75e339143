//! The one request for work: when another task is asked for, and how the request ends before a task is given back.
//!
//! The coordinator gives a task that it gets back to whoever asks, and the first to ask may be this node's own open
//! request. So an open request is cancelled first, and leases are given back when its end is known.

use std::collections::VecDeque;

use surge_protocol::api::LeaseId;

use super::{Action, LONGEST_DELAY, Millis, Moment, SECOND, SHORTEST_DELAY, Why, delay, jittered};

/// No request for so long after one that was cancelled, and after a task was given back: somebody else is to have it, and a
/// hold that comes and goes with every touch of a key makes no storm of requests.
const LULL: Millis = 5 * SECOND;

/// Where the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    None,
    Open,
    /// It was cancelled, and may still bring a task.
    Cancelled,
}

#[derive(Debug, Clone)]
pub(super) struct Asking {
    request: Request,
    /// No request begins before.
    not_before: Millis,
    failures: u32,
    /// Leases that are given back as soon as no request is open, with the failure of this host if there was one.
    returns: Vec<(LeaseId, Why)>,
}

impl Asking {
    pub(super) const fn new() -> Self {
        Self { request: Request::None, not_before: 0, failures: 0, returns: Vec::new() }
    }

    /// When the next request may begin; `None` while one is under way.
    pub(super) fn next(&self) -> Option<Millis> {
        (self.request == Request::None).then_some(self.not_before)
    }

    pub(super) fn begin(&mut self, actions: &mut VecDeque<Action>) {
        self.request = Request::Open;
        actions.push_back(Action::Ask);
    }

    pub(super) fn cancel(&mut self, actions: &mut VecDeque<Action>) {
        if self.request == Request::Open {
            self.request = Request::Cancelled;
            actions.push_back(Action::CancelAsk);
        }
    }

    /// The request is over. One that was cancelled is not repeated at once, whatever it brought.
    fn ended(&mut self, now: Millis) {
        if std::mem::replace(&mut self.request, Request::None) == Request::Cancelled {
            self.wait(now, LULL);
        }
    }

    pub(super) fn brought_task(&mut self, now: Millis) {
        self.ended(now);
        self.failures = 0;
    }

    pub(super) fn brought_nothing(&mut self, after: Millis, moment: Moment) {
        self.ended(moment.now);
        self.failures = 0;
        self.wait(moment.now, jittered(after.clamp(SHORTEST_DELAY, LONGEST_DELAY), moment.jitter));
    }

    pub(super) fn failed(&mut self, after: Option<Millis>, moment: Moment) {
        self.ended(moment.now);
        self.failures += 1;
        self.wait(moment.now, delay(after, self.failures, moment.jitter));
    }

    pub(super) fn cancelled(&mut self, now: Millis) {
        self.ended(now);
    }

    /// No request within `time`.
    pub(super) fn wait(&mut self, now: Millis, time: Millis) {
        self.not_before = self.not_before.max(now + time);
    }

    /// As [`Self::wait`], for the usual time after a task was given back.
    pub(super) fn lull(&mut self, now: Millis) {
        self.wait(now, LULL);
    }

    pub(super) fn give_back(&mut self, lease: LeaseId, why: Why) {
        self.returns.push((lease, why));
    }

    /// Leases to be given back now. Cancels the open request first, and then waits for its end.
    pub(super) fn returns(&mut self, actions: &mut VecDeque<Action>) -> Vec<(LeaseId, Why)> {
        if !self.returns.is_empty() {
            self.cancel(actions);
        }
        match self.request {
            Request::None => std::mem::take(&mut self.returns),
            Request::Open | Request::Cancelled => Vec::new(),
        }
    }

    /// No request is open, and nothing waits for its end.
    pub(super) fn is_over(&self) -> bool {
        self.request == Request::None && self.returns.is_empty()
    }
}
