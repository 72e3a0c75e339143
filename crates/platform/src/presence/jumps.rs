//! The time of day being set, and the machine waking: after either no older idleness counts.
//!
//! A timer that the kernel cancels at both tells; nothing is polled.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::combine::Report;
use super::mind::Reports;

/// Far enough ahead never to come, near enough for every kernel.
const NEVER: i64 = i32::MAX as i64;

/// Watches until dropped. An error ends it: the system has no such timer.
pub(super) async fn watch(reports: &Reports) -> io::Result<()> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    #[expect(unsafe_code, reason = "tokio asks for a promise that it can't check")]
    // SAFETY: the timer is owned by the AsyncFd until both are dropped, and nothing here replaces or closes it.
    let timer = unsafe { AsyncFd::register(timer) }?;
    arm(&timer)?;
    loop {
        let mut ready = timer.readable().await?;
        match rustix::io::read(&timer, &mut [0; 8]) {
            Err(rustix::io::Errno::CANCELED) => reports.send(Report::Disturbed),
            Err(rustix::io::Errno::AGAIN) => {
                ready.clear_ready();
                continue;
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        ready.clear_ready();
        arm(&timer)?;
    }
}

fn arm(timer: &AsyncFd<OwnedFd>) -> io::Result<()> {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let at = Itimerspec { it_interval: zero, it_value: Timespec { tv_sec: NEVER, tv_nsec: 0 } };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(timer, flags, &at).map(|_| ()).map_err(io::Error::from)
}
