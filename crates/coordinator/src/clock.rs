//! The one place that reads the time, so that tests can own it.
//!
//! Deliberately absent: monotonic time. Leases and deadlines are wall-clock facts that must survive a restart; a clock
//! that jumps ends leases early, and a late result is accepted anyway.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

/// Unix time, milliseconds.
pub type Millis = u64;

/// Whether `now` is at or past a time given in unix seconds.
#[must_use]
pub const fn is_past(seconds: u64, now: Millis) -> bool {
    now >= seconds.saturating_mul(1_000)
}

/// Tells the time and waits.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    fn now(&self) -> Millis;
    /// Completes once the clock shows `at` or later.
    fn sleep_until(&self, at: Millis) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_until(&self, at: Millis) -> BoxFuture<'static, ()> {
        tokio::time::sleep(Duration::from_millis(at.saturating_sub(self.now()))).boxed()
    }
}

/// A clock that stands until it is advanced.
#[derive(Debug)]
pub struct Manual(watch::Sender<Millis>);

impl Manual {
    #[must_use]
    pub fn new(start: Millis) -> Self {
        Self(watch::Sender::new(start))
    }

    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.send_modify(|now| *now = now.saturating_add(by));
    }
}

impl Clock for Manual {
    fn now(&self) -> Millis {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Millis) -> BoxFuture<'static, ()> {
        let mut now = self.0.subscribe();
        async move {
            // The clock is gone when its owner is: then nothing is left to wait for.
            let _ = now.wait_for(|now| *now >= at).await;
        }
        .boxed()
    }
}
