//! Keeps a worker from computing while nobody attends to it, say because this process was stopped from outside.
//!
//! Its CPU time is allowed a little ahead, and renewed while it runs. A worker that has used up what it was allowed stops
//! itself, and is resumed here when this process goes on. Nothing is renewed while it is held, so that it costs nothing then.
//!
//! Deliberately absent: trust. A program that broke out of its engine may ignore the end of its allowance; what bounds such
//! a program is the lock-down.

use std::time::{Duration, Instant};

use surge_platform::process::Activity;

use crate::child::Child;
use crate::roster::Decided;

/// CPU time that is allowed ahead, at most, seconds: the system counts in whole ones, and of one second nothing might be
/// left.
pub(crate) const ALLOWED_AHEAD: u64 = 2;
/// How long before its end an allowance is renewed. On a busy machine this process may come late.
const EARLY: Duration = Duration::from_millis(500);

/// One worker's allowance, as the control thread knows it.
#[derive(Debug)]
pub(crate) struct Attendance {
    seen: Instant,
    renew_at: Instant,
    /// It was told to stop, and has not been found stopped since. On a busy machine it may take a while to hear it.
    will_stop: bool,
}

impl Attendance {
    /// For a worker whose allowance is to be renewed at `now`.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { seen: now, renew_at: now, will_stop: false }
    }

    /// When to look at it next, while it runs.
    pub(crate) const fn renew_at(&self) -> Instant {
        self.renew_at
    }

    /// To be called at every look. Where the worker is found to have stopped itself, returns when it was looked at before:
    /// it is to be resumed.
    pub(crate) fn renew(&mut self, process: &dyn Child, decided: &Decided, now: Instant) -> Option<Instant> {
        let seen = std::mem::replace(&mut self.seen, now);
        if now < self.renew_at {
            return None;
        }
        let allowance = process.allow_cpu(ALLOWED_AHEAD);
        // It has one thread that computes, and uses its allowance no faster than time passes.
        // Where this process's own limit cuts it short, looking more often would not help.
        self.renew_at = now + allowance.left.saturating_sub(EARLY).max(EARLY);
        self.will_stop |= allowance.ran_out;
        let stopped = self.will_stop && !decided.is_suspended() && process.activity() == Activity::Suspended;
        self.will_stop &= !stopped;
        stopped.then_some(seen)
    }
}
