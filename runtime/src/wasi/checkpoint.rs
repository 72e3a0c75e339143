//! When a program syncs a file of its `/state`: the one moment at which what it has there is kept.
//!
//! Deliberately absent: where it is kept. The image goes to the supervisor, which alone can write to a disk.

use std::time::Duration;

use super::fds::Target;
use super::{Answer, Wasi};
use crate::guest::Guest;
use crate::host;

/// Keeps checkpoints apart, so that a program which syncs all the time does not spend its time on it.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// CPU time between two, at least; `None` where nobody keeps them.
    every: Option<Duration>,
    /// CPU time at the last.
    last: Duration,
}

impl Checkpoints {
    pub(super) const fn new(every: Option<Duration>) -> Self {
        Self { every, last: Duration::ZERO }
    }

    /// Whether the next is due. The program can't notice: a sync succeeds either way.
    fn due(&mut self) -> bool {
        let Some(every) = self.every else { return false };
        let now = host::cpu_time();
        let due = now >= self.last + every;
        if due {
            self.last = now;
        }
        due
    }
}

impl Wasi {
    pub(super) fn fd_sync(&mut self, _: &mut Guest<'_>, fd: u32) -> Answer {
        let Target::Node(inode) = self.fds.get(fd)?.target else { return Ok(()) };
        if self.fs.in_state(inode) && self.checkpoints.due() {
            self.speaker.checkpoint(&self.fs.state_image())?;
        }
        Ok(())
    }

    pub(super) fn fd_datasync(&mut self, guest: &mut Guest<'_>, fd: u32) -> Answer {
        self.fd_sync(guest, fd)
    }
}
