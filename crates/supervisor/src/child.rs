//! A worker's process as the control thread needs it, so that its decisions can be tested without a process.
//!
//! Deliberately absent: pipes and waiting, which are for the worker's own threads.

use std::fmt;
use std::time::Duration;

use surge_platform::process::{Activity, Allowance, Process};

/// What can be done to a worker's process, and seen of it. No call waits for the process, for a disk, or for a lock that is
/// held meanwhile.
pub(crate) trait Child: fmt::Debug + Send + Sync {
    fn pid(&self) -> u32;
    fn suspend(&self);
    fn resume(&self);
    fn kill(&self);
    /// CPU time so far.
    fn cpu_time(&self) -> Duration;
    /// Lets it compute for so many seconds of CPU time from now on, and no further.
    fn allow_cpu(&self, seconds: u64) -> Allowance;
    fn activity(&self) -> Activity;
}

impl Child for Process {
    fn pid(&self) -> u32 {
        self.pid()
    }

    fn suspend(&self) {
        self.suspend();
    }

    fn resume(&self) {
        self.resume();
    }

    fn kill(&self) {
        self.kill();
    }

    fn cpu_time(&self) -> Duration {
        self.cpu_time()
    }

    fn allow_cpu(&self, seconds: u64) -> Allowance {
        self.allow_cpu(seconds)
    }

    fn activity(&self) -> Activity {
        self.activity()
    }
}
