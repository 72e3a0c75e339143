//! One worker as the control thread sees it: held, paced, watched over, killed.
//!
//! Deliberately absent: what it says, which threads of its own hear; and reading the time, which is passed in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use surge_platform::process::Activity;

use crate::Config;
use crate::attendance::Attendance;
use crate::budget::Allotment;
use crate::child::Child;
use crate::pace::Pace;
use crate::roster::Decided;
use crate::runnable_clock::{self, RunnableClock};
use crate::verdict::Cause;

/// What a worker that has reported may still need to end by itself.
const FAREWELL: Duration = Duration::from_secs(2);
/// A worker that others stop more often than this is given up.
const MOST_STOPS_BY_OTHERS: u8 = 3;

/// A worker under control.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Chooses the phase of its periods.
    number: u64,
    pub(crate) allotment: Allotment,
    limits: Limits,
    decided: Arc<Decided>,
    stage: Stage,
    /// When it is to be looked at next.
    pub(crate) wake: Option<Instant>,
}

/// What a worker may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    cpu: Duration,
    runnable: Duration,
    stall: Duration,
}

/// How far a worker has come.
#[derive(Debug)]
enum Stage {
    /// The spawner has the order.
    Ordered,
    /// The process exists, but is not the worker program yet. It is not suspended, even where its share is 0: until it is
    /// another program, it has a copy of this process's memory, which would stay for as long as it is held.
    Starting { process: Arc<dyn Child>, alive_at: Instant },
    /// It is the worker program.
    Running(Running),
}

#[derive(Debug)]
struct Running {
    process: Arc<dyn Child>,
    pace: Pace,
    clock: RunnableClock,
    attendance: Attendance,
    /// When its CPU clock was last seen to move, and where it stood.
    alive: (Instant, Duration),
    /// How often it was found stopped by others.
    stops_by_others: u8,
    /// When it must be gone, after its report.
    leave_by: Option<Instant>,
}

impl Worker {
    /// A worker that is ordered from the spawner.
    pub(crate) fn new(number: u64, allotment: Allotment, cpu_ms: u64, config: &Config, decided: Arc<Decided>) -> Self {
        let cpu = Duration::from_millis(cpu_ms);
        let runnable = config.wall.unwrap_or_else(|| runnable_clock::usual(cpu));
        let limits = Limits { cpu, runnable, stall: config.stall_after };
        Self { number, allotment, limits, decided, stage: Stage::Ordered, wake: None }
    }

    /// Its process exists.
    pub(crate) fn forked(&mut self, process: Arc<dyn Child>, now: Instant) {
        if self.is_killed() {
            process.kill();
        } else {
            self.wake = Some(now + self.limits.stall);
        }
        self.stage = Stage::Starting { process, alive_at: now };
    }

    /// Its process has become the worker program.
    pub(crate) fn executing(&mut self, now: Instant) {
        let Stage::Starting { process, .. } = &self.stage else { return };
        self.stage = Stage::Running(Running {
            process: Arc::clone(process),
            pace: Pace::new(self.number, self.decided.share(), now),
            clock: RunnableClock::new(self.limits.runnable, now),
            attendance: Attendance::new(now),
            alive: (now, Duration::ZERO),
            stops_by_others: 0,
            leave_by: None,
        });
        self.step(now);
    }

    pub(crate) fn set_share(&mut self, share: f32, now: Instant) {
        if self.is_killed() || share.to_bits() == self.decided.share().to_bits() {
            // Nothing changes: the pace keeps its balance.
            return;
        }
        self.decided.set_share(share);
        let Stage::Running(running) = &mut self.stage else { return };
        if share <= 0.0 {
            // Before anything else: an owner waits for it.
            running.suspend(&self.decided, now);
        }
        let cpu = running.process.cpu_time();
        running.pace.set(share, now, cpu);
        running.alive = (now, cpu);
        self.step(now);
    }

    /// It was continued. Where that was not this thread, it is suspended again.
    pub(crate) fn resumed(&self) {
        if self.decided.is_suspended()
            && let Stage::Running(running) = &self.stage
        {
            running.process.suspend();
        }
    }

    /// It has reported, and should now end by itself.
    pub(crate) fn reported(&mut self, now: Instant) {
        if self.is_killed() {
            return;
        }
        if self.decided.is_suspended() {
            // It is held, so it gets no CPU time, not even to end by itself.
            return self.kill(Cause::Done);
        }
        if let Stage::Running(running) = &mut self.stage {
            running.leave_by = Some(now + FAREWELL);
            self.wake = running.leave_by;
        }
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.decided.cause.get().is_some()
    }

    /// Kills it, or its process as soon as there is one.
    pub(crate) fn kill(&mut self, cause: Cause) {
        // The first reason counts.
        let _ = self.decided.cause.set(cause);
        match &self.stage {
            Stage::Ordered => {}
            Stage::Starting { process, .. } | Stage::Running(Running { process, .. }) => process.kill(),
        }
        self.wake = None;
    }

    /// Looks at it, does what is to be done, and says in `wake` when to look again.
    pub(crate) fn step(&mut self, now: Instant) {
        if self.is_killed() {
            return;
        }
        let looked = match &mut self.stage {
            Stage::Ordered => Ok(None),
            Stage::Starting { process, alive_at } => look_at_start(process.as_ref(), alive_at, self.limits.stall, now),
            Stage::Running(running) => running.look(&self.limits, &self.decided, now),
        };
        match looked {
            Ok(wake) => self.wake = wake,
            Err(cause) => self.kill(cause),
        }
    }
}

/// Whether a process that is about to become the worker program still gets on: it may wait for a processor or a disk.
/// Returns when to look again.
fn look_at_start(
    process: &dyn Child,
    alive_at: &mut Instant,
    stall: Duration,
    now: Instant,
) -> Result<Option<Instant>, Cause> {
    if now >= *alive_at + stall {
        match process.activity() {
            Activity::Running => *alive_at = now,
            _ => return Err(Cause::Stalled),
        }
    }
    Ok(Some(*alive_at + stall))
}

impl Running {
    /// Suspends or resumes it as its share says. Returns when to look again, or why it is to be killed.
    fn look(&mut self, limits: &Limits, decided: &Decided, now: Instant) -> Result<Option<Instant>, Cause> {
        if let Some(leave_by) = self.leave_by {
            return if now >= leave_by { Err(Cause::Done) } else { Ok(Some(leave_by)) };
        }
        if let Some(seen) = self.attendance.renew(self.process.as_ref(), decided, now) {
            self.resume_unattended(seen, now);
        }
        let cpu = self.process.cpu_time();
        if cpu >= limits.cpu {
            return Err(Cause::Cpu);
        }
        if self.clock.exhausted(now) {
            return Err(Cause::Wall(self.clock.used(now)));
        }
        if !decided.is_suspended() && self.is_stalled(limits.stall, now, cpu) {
            return Err(Cause::Stalled);
        }
        let step = self.pace.step(now, cpu);
        if step.run {
            self.resume(decided, now)
        } else {
            self.suspend(decided, now)
        }
        if self.pace.share() <= 0.0 {
            return Ok(None);
        }
        // Each of them is the earliest instant at which there can be anything to see.
        let exhausted = now + (limits.cpu - cpu).max(Duration::from_millis(1));
        let stalled = self.alive.0 + limits.stall;
        let unattended = self.attendance.renew_at();
        Ok(step.wake.into_iter().chain([exhausted, stalled, unattended]).chain(self.clock.due(now)).min())
    }

    /// It has stopped itself, because nobody attended to it after `seen`. That time counts for none of its limits.
    fn resume_unattended(&mut self, seen: Instant, now: Instant) {
        self.clock.suspended(seen);
        self.clock.resumed(now);
        self.alive.0 = now;
        self.process.resume();
    }

    fn is_stalled(&mut self, stall: Duration, now: Instant, cpu: Duration) -> bool {
        if cpu > self.alive.1 {
            self.alive = (now, cpu);
        }
        if now < self.alive.0 + stall {
            return false;
        }
        match self.process.activity() {
            // It waits for a processor that others use: that is what idle priority means.
            Activity::Running => self.alive.0 = now,
            // Somebody else stopped it. Once or twice may be an accident.
            Activity::Suspended if self.stops_by_others < MOST_STOPS_BY_OTHERS => {
                self.stops_by_others += 1;
                self.alive.0 = now;
                self.process.resume();
            }
            _ => return true,
        }
        false
    }

    fn suspend(&mut self, decided: &Decided, now: Instant) {
        if !decided.set_suspended(true) {
            self.clock.suspended(now);
            self.process.suspend();
        }
    }

    fn resume(&mut self, decided: &Decided, now: Instant) {
        if decided.set_suspended(false) {
            self.alive.0 = now;
            self.clock.resumed(now);
            self.process.resume();
        }
    }
}
