//! The one request for work: when another task is asked for, and how the request ends before a task is given back.
//!
//! The coordinator gives a task that it gets back to whoever asks, and the first to ask may be this node's own open
//! request. So an open request is cancelled first, and leases are given back when its end is known.
//!
//! A request without an answer may have been given a task all the same. It is soon made again, or that task is given back.

use std::collections::VecDeque;

use surge_protocol::api::LeaseId;

use super::{Action, Asked, LONGEST_DELAY, Millis, Moment, SECOND, SHORTEST_DELAY, Why, delay, jittered};

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

/// Whether a request that has ended is made again before a lease that it may have got expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Soon,
    NotSoon,
}

/// Whether the newest request may have been given a task that nobody here knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unheard {
    No,
    /// Whoever makes the same request again hears of it.
    Perhaps,
    /// The request was cancelled: that task is for somebody else.
    Unwanted,
}

#[derive(Debug, Clone)]
pub(super) struct Asking {
    request: Request,
    unheard: Unheard,
    /// No request begins before.
    not_before: Millis,
    failures: u32,
    /// Leases that are given back as soon as no request is open, with the failure of this host if there was one.
    returns: Vec<(LeaseId, Why)>,
}

impl Asking {
    pub(super) const fn new() -> Self {
        Self { request: Request::None, unheard: Unheard::No, not_before: 0, failures: 0, returns: Vec::new() }
    }

    /// When the next request may begin; `None` while one is under way.
    pub(super) fn next(&self) -> Option<Millis> {
        (self.request == Request::None).then_some(self.not_before)
    }

    pub(super) fn begin(&mut self, actions: &mut VecDeque<Action>) {
        self.request = Request::Open;
        actions.push_back(Action::Ask(match self.unheard {
            Unheard::No => Asked::New,
            Unheard::Perhaps | Unheard::Unwanted => Asked::Again,
        }));
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
            if self.unheard == Unheard::Perhaps {
                self.unheard = Unheard::Unwanted;
            }
        }
    }

    pub(super) fn brought_task(&mut self, now: Millis) {
        self.unheard = Unheard::No;
        self.ended(now);
        self.failures = 0;
    }

    pub(super) fn brought_nothing(&mut self, after: Millis, moment: Moment) {
        self.unheard = Unheard::No;
        self.ended(moment.now);
        self.failures = 0;
        self.wait(moment.now, jittered(after.clamp(SHORTEST_DELAY, LONGEST_DELAY), moment.jitter));
    }

    pub(super) fn failed(&mut self, after: Option<Millis>, moment: Moment) {
        self.ended(moment.now);
        self.failures += 1;
        self.wait(moment.now, delay(after, self.failures, moment.jitter));
    }

    pub(super) fn answer_lost(&mut self, after: Option<Millis>, moment: Moment) {
        self.unheard = Unheard::Perhaps;
        self.failed(after, moment);
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

    /// Gives back what the newest request may have been given, unless it is open.
    pub(super) fn decline(&mut self, again: Again, actions: &mut VecDeque<Action>) {
        let unwanted = match self.unheard {
            Unheard::No => false,
            Unheard::Perhaps => again == Again::NotSoon,
            Unheard::Unwanted => true,
        };
        if unwanted && self.request == Request::None {
            self.unheard = Unheard::No;
            actions.push_back(Action::Decline);
        }
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
