//! One worker process as the control thread sees it: held, paced, watched over, killed.
//!
//! Deliberately absent: what it says, which two threads of its own hear.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use surge_platform::process::{Activity, Process, Program};
use surge_protocol::Outcome;

use crate::budget::Allotment;
use crate::control::{Line, Start};
use crate::conversation::{self, Conversation};
use crate::pace::Pace;
use crate::verdict::Cause;
use crate::wall::{self, Wall};
use crate::{Config, Finished, talk};

/// What a worker that has reported may still need to leave.
const FAREWELL: Duration = Duration::from_secs(2);
/// A worker that is stopped by another hand more often than this is given up.
const MOST_STRAYS: u8 = 3;

/// A worker under control.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) process: Arc<Process>,
    pub(crate) allotment: Allotment,
    pace: Pace,
    /// Set once, before the kill.
    cause: Arc<OnceLock<Cause>>,
    /// Read by the thread that sees it continued.
    suspended: Arc<AtomicBool>,
    cpu_limit: Duration,
    wall: Wall,
    stall_after: Duration,
    /// When its CPU clock was last seen to move, and where it stood.
    alive: (Instant, Duration),
    /// How often it was found stopped by another hand.
    strays: u8,
    /// After its last word: when it must be gone.
    leave_by: Option<Instant>,
    /// When it is to be looked at next.
    pub(crate) wake: Option<Instant>,
}

impl Worker {
    /// Spawns a worker that begins at `share`, and the threads that talk with it. Where that fails, whoever waits has been
    /// told so.
    pub(crate) fn start(config: &Config, start: Start, share: f32, line: Line) -> Option<Self> {
        let opening = match talk::start(&start.task) {
            Ok(opening) => opening,
            Err(error) => {
                let why = format!("its arguments are too long: {error}");
                start.then.call(Finished::unrun(Outcome::Invalid, "too_large", why), None);
                return None;
            }
        };
        let files: Vec<_> = start.task.data.iter().map(|(_, file)| Arc::clone(file)).collect();
        let now = Instant::now();
        let (process, pipes) = match Process::spawn(Program { path: &config.worker, args: &[], files: &files }) {
            Ok((process, pipes)) => (Arc::new(process), pipes),
            Err(error) => {
                let why = format!("the worker {} could not be started: {error}", config.worker.display());
                start.then.call(Finished::unrun(Outcome::Host, "spawn", why), None);
                return None;
            }
        };
        let cpu_limit = Duration::from_millis(start.task.limits.cpu_ms);
        let mut worker = Self {
            process: Arc::clone(&process),
            allotment: start.allotment,
            pace: Pace::new(line.id.number(), share, now),
            cause: Arc::default(),
            suspended: Arc::default(),
            cpu_limit,
            wall: Wall::new(config.wall.unwrap_or_else(|| wall::usual(cpu_limit)), now),
            stall_after: config.stall_after,
            alive: (now, Duration::ZERO),
            strays: 0,
            leave_by: None,
            wake: None,
        };
        worker.step(now);
        // Before anybody can see it leave.
        line.arrived(&process, share);
        let (cause, suspended) = (Arc::clone(&worker.cause), Arc::clone(&worker.suspended));
        let talk = Conversation { line, process, cause, suspended, spawned: now, lockdown: config.lockdown };
        if let Err(error) = conversation::begin(&talk, opening, start, pipes, config.code.clone()) {
            tracing::error!(%error, "no thread for a worker");
            worker.kill(Cause::Stop);
        }
        Some(worker)
    }

    pub(crate) fn set_share(&mut self, share: f32, now: Instant) {
        if self.is_killed() || f64::from(share).to_bits() == self.pace.share().to_bits() {
            // Its account goes on.
            return;
        }
        if share <= 0.0 {
            // The reason why this exists comes first.
            self.suspend(now);
        }
        self.pace.set(share, now, self.process.cpu_time());
        self.alive = (now, self.process.cpu_time());
        self.step(now);
    }

    /// Somebody continued it. Where that was not us, it is suspended again.
    pub(crate) fn resumed(&self) {
        if self.is_suspended() {
            self.process.suspend();
        }
    }

    /// It has reported, and should now leave by itself.
    pub(crate) fn farewell(&mut self, now: Instant) {
        if self.is_suspended() {
            // Not one cycle, not even to leave: it has said all.
            return self.kill(Cause::Done);
        }
        self.leave_by = Some(now + FAREWELL);
        self.wake = self.leave_by;
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.cause.get().is_some()
    }

    pub(crate) fn kill(&mut self, cause: Cause) {
        // A second reason changes nothing.
        let _ = self.cause.set(cause);
        self.process.kill();
        self.wake = None;
    }

    /// Looks at it, does what is to be done, and says in `wake` when to look again.
    pub(crate) fn step(&mut self, now: Instant) {
        if self.is_killed() {
            return;
        }
        if let Some(leave_by) = self.leave_by {
            if now >= leave_by {
                self.kill(Cause::Done);
            }
            return;
        }
        let cpu = self.process.cpu_time();
        if cpu >= self.cpu_limit {
            return self.kill(Cause::Cpu);
        }
        if self.wall.exhausted(now) {
            return self.kill(Cause::Wall(self.wall.used(now)));
        }
        if !self.is_suspended() && self.stalled(now, cpu) {
            return self.kill(Cause::Stalled);
        }
        let step = self.pace.step(now, cpu);
        if step.run {
            self.resume(now)
        } else {
            self.suspend(now)
        }
        self.wake = if self.pace.share() > 0.0 {
            // All of them are the earliest instants at which there can be anything to see.
            let exhausted = now + (self.cpu_limit - cpu).max(Duration::from_millis(1));
            let stalled = self.alive.0 + self.stall_after;
            step.wake.into_iter().chain([exhausted, stalled]).chain(self.wall.due(now)).min()
        } else {
            None
        };
    }

    fn stalled(&mut self, now: Instant, cpu: Duration) -> bool {
        if cpu > self.alive.1 {
            self.alive = (now, cpu);
        }
        if now < self.alive.0 + self.stall_after {
            return false;
        }
        match self.process.activity() {
            // It waits for a processor that others use: that is what idle priority means.
            Activity::Running => self.alive.0 = now,
            // Somebody else stopped it. Once or twice may be an accident.
            Activity::Suspended if self.strays < MOST_STRAYS => {
                self.strays += 1;
                self.alive.0 = now;
                self.process.resume();
            }
            _ => return true,
        }
        false
    }

    fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Relaxed)
    }

    fn suspend(&mut self, now: Instant) {
        if !self.suspended.swap(true, Ordering::Relaxed) {
            self.wall.suspended(now);
            self.process.suspend();
        }
    }

    fn resume(&mut self, now: Instant) {
        if self.suspended.swap(false, Ordering::Relaxed) {
            self.alive.0 = now;
            self.wall.resumed(now);
            self.process.resume();
        }
    }
}
