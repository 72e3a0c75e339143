//! Linux: a timer on CLOCK_REALTIME is cancelled when that clock is set and when the machine wakes.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::waitable::Waitable;

/// Never goes off, and is cancelled when the clock jumps or the machine wakes.
const NEVER: Timespec = Timespec { tv_sec: 1 << 40, tv_nsec: 0 };

/// Ends a wait when the clocks must be looked at.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Waitable,
}

impl Alarm {
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Where the system has no such timer.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        arm(&timer)?;
        Ok(Self { timer: Waitable::new(timer)? })
    }

    /// Returns when a clock has jumped.
    pub(crate) async fn rung(&self) {
        loop {
            let Ok(mut ready) = self.timer.ready().await else { return std::future::pending().await };
            match rustix::io::read(&self.timer, &mut [0; 8]) {
                Err(Errno::CANCELED) => {
                    if let Err(error) = arm(&self.timer) {
                        tracing::warn!(%error, "the clock is watched by polling from now on");
                    }
                    return;
                }
                _ => ready.clear_ready(),
            }
        }
    }
}

fn arm(timer: impl AsFd) -> Result<(), Errno> {
    let never = Itimerspec { it_interval: Timespec::default(), it_value: NEVER };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(timer, flags, &never).map(|_| ())
}
