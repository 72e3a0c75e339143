//! The engine that is killed: a process whoever started it, our child or not.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::cpu_ms;
use crate::network::Running;

/// What the kernel takes to end a process that is killed, at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// It ends with this value.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) pid: u32,
    pub(super) started_by: StartedBy,
}

#[derive(Debug)]
pub(super) enum StartedBy {
    /// By the test.
    Test(Running),
    /// By a command line's shell.
    Terminal,
    /// By the desktop app, which gives it no options: it makes checkpoints as seldom as usual.
    Desktop,
}

impl Engine {
    pub(super) fn is_there(&self) -> bool {
        // Of a dead child of ours its status is left.
        cpu_ms(self.pid).is_some()
    }

    /// Ends it in order, as its owner would.
    pub(super) fn stop(mut self) {
        self.signal(Signal::TERM);
        match &mut self.started_by {
            StartedBy::Test(child) => {
                let left = child.0.wait().expect("our own child");
                assert!(left.success(), "the engine left with {left}");
            }
            StartedBy::Terminal | StartedBy::Desktop => self.wait(),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may be gone already.
            let _ = kill_process(pid, signal);
        }
    }

    fn wait(&self) {
        let begun = Instant::now();
        while self.is_there() && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.is_there() {
            self.signal(Signal::KILL);
            self.wait();
        }
    }
}
