//! The system's clock that counts the machine's sleep, with a timer that fires at once after a sleep in which it was due.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::outside::Clock;

/// `CLOCK_BOOTTIME`. A timer of tokio stands still while the machine sleeps: after a night the first heartbeat would come
/// minutes late.
#[derive(Debug)]
pub(crate) struct BootClock {
    timer: AsyncFd<OwnedFd>,
}

impl BootClock {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses a timer.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(deprecated, reason = "it asks for a descriptor that stays the same and open: an OwnedFd's does")]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer })
    }

    async fn wait_until(&self, at: Duration) -> io::Result<()> {
        // A timer that is set to zero never fires.
        let at = at.max(Duration::from_nanos(1));
        let due = Timespec::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value: due };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let fired = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?));
            if let Ok(read) = fired {
                return read.map(drop);
            }
        }
    }
}

impl Clock for BootClock {
    fn now(&self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        Duration::try_from(now).unwrap_or_default()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.wait_until(at).await {
                tracing::warn!(%error, "The timer that counts sleep failed");
                tokio::time::sleep(at.saturating_sub(self.now())).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_wakes_when_it_is_due_and_at_once_when_it_was() {
        let clock = BootClock::new().unwrap();
        let began = clock.now();
        assert!(began > Duration::ZERO);
        let due = began + Duration::from_millis(30);
        clock.sleep_until(due).await;
        assert!(clock.now() >= due);
        clock.sleep_until(began).await;
        // One that is not waited for any more does not keep the next from being heard.
        drop(clock.sleep_until(clock.now() + Duration::from_secs(3_600)));
        clock.sleep_until(clock.now() + Duration::from_millis(1)).await;
    }
}
