//! That the engine stops, for threads of workers that wait for a disk.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Stopping {
    begun: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    pub(super) fn begin(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Blocks for `time`, or until the engine stops; whether it does.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(begun, time, |begun| !*begun);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
