//! CPU time that a process gets in advance: where its parent no longer renews it, the system tells the process so.
//!
//! It is the soft limit of `RLIMIT_CPU`. When the process reaches it, the kernel sends it SIGXCPU and moves the limit on by
//! one second, so that the signal comes again after each further second.
//!
//! Deliberately absent: what the process does then. A program that does not handle the signal is ended by it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::super::Allowance;

/// What one process may still compute.
#[derive(Debug, Default)]
pub(super) struct CpuAllowance(Mutex<Limit>);

#[derive(Debug, Default)]
enum Limit {
    #[default]
    Unset,
    /// As it was set last, in seconds of the process's [`tick_clock`].
    At(u64),
    /// The process's number may be another process's from now on.
    Reaped,
}

impl CpuAllowance {
    /// Lets the process compute for more than `seconds - 1` and at most `seconds` from now on. Waits for nobody: where
    /// another thread is just renewing or reaping, that thread's act counts.
    pub(super) fn renew(&self, pid: Pid, seconds: u64) -> Allowance {
        let unchanged = Allowance { left: Duration::from_secs(seconds.saturating_sub(1)), ran_out: false };
        let Ok(mut limit) = self.0.try_lock() else { return unchanged };
        if matches!(*limit, Limit::Reaped) {
            return unchanged;
        }
        let used = tick_clock(pid);
        let until = used.as_secs().saturating_add(seconds);
        // Only the superuser may raise the hard limit, which the process has inherited from us.
        let maximum = getrlimit(Resource::Cpu).maximum;
        let until = maximum.map_or(until, |maximum| until.min(maximum));
        let Ok(before) = prlimit(Some(pid), Resource::Cpu, Rlimit { current: Some(until), maximum }) else {
            return unchanged;
        };
        // Where it was reached, the kernel has moved it on.
        let ran_out = matches!(*limit, Limit::At(set) if before.current != Some(set));
        *limit = Limit::At(until);
        Allowance { left: Duration::from_secs(until).saturating_sub(used), ran_out }
    }

    /// Keeps every later [`Self::renew`] from reaching another process that gets the number. To be called before the process
    /// is reaped; waits for no more than a system call.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Limit::Reaped;
    }
}

/// The clock by which the kernel enforces `RLIMIT_CPU`. It counts whole ticks of the scheduler, and over the life of a
/// process it drifts away from the precise clock, in either direction.
fn tick_clock(pid: Pid) -> Duration {
    // The two lowest bits of the clock's number say which clock of the process it is: 2 is the precise one, 0 this one.
    super::read_clock(pid, |precise| precise & !0b11)
}
