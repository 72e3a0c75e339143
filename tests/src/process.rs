//! What the kernel says of a process: its CPU clock, its memory, its children, how often it woke.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// The CPU clock of a process, exact to the nanosecond while it runs.
#[derive(Debug, Clone, Copy)]
pub struct Clock(ClockId);

impl Clock {
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self(clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?))
    }

    /// `None` when the process is gone.
    #[must_use]
    pub fn now(self) -> Option<Duration> {
        self.0.now().ok().map(Duration::from)
    }
}

/// The children of all threads of a process.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Whether a process is stopped by a signal.
#[must_use]
pub fn stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// Whether there is such a process, dead ones left out.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// Its state as the kernel writes it; `None` when it is gone.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Its share of memory in KiB: its own pages, and its part of those that others map too.
///
/// # Errors
/// When it is gone, or is somebody else's.
pub fn pss_kib(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("smaps_rollup has a Pss line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// How often its threads have gone to sleep, which is how often they were woken.
///
/// # Errors
/// When it is gone.
pub fn sleeps(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        // A thread may end between the listing and the reading.
        let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += count.context("a status has its switches")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}
