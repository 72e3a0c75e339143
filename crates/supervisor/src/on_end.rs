//! Whoever is to be told how a task ended.

use std::fmt;

use crate::checkpoint::Generations;
use crate::{Finished, WorkerId};

/// A callback for the ending of one task. Called exactly once: if everything else fails, when it is dropped.
pub(crate) struct OnEnd {
    id: WorkerId,
    callback: Option<Box<dyn FnOnce(Finished) + Send>>,
    /// It puts the result where a crash can't take it: the task's checkpoints are needed until it returns.
    stores: bool,
}

impl OnEnd {
    /// The ending is only passed on.
    pub(crate) fn passing(id: WorkerId, callback: impl FnOnce(Finished) + Send + 'static) -> Self {
        Self { id, callback: Some(Box::new(callback)), stores: false }
    }

    /// The result is stored by `callback`.
    pub(crate) fn storing(id: WorkerId, callback: impl FnOnce(Finished) + Send + 'static) -> Self {
        Self { id, callback: Some(Box::new(callback)), stores: true }
    }

    /// Tells the ending, and removes the checkpoints `spent`: after the result is stored, or before anybody hears of it.
    pub(crate) fn call(mut self, finished: Finished, spent: Option<Generations>) {
        let forget = || spent.iter().for_each(Generations::forget);
        if !self.stores {
            forget();
        }
        self.tell(finished);
        if self.stores {
            forget();
        }
    }

    fn tell(&mut self, finished: Finished) {
        let Some(callback) = self.callback.take() else { return };
        tracing::debug!(
            worker = self.id.number(), outcome = finished.outcome.name(), code = %finished.code, cpu_ms = finished.cpu_ms,
            "ended"
        );
        callback(finished);
    }
}

impl Drop for OnEnd {
    fn drop(&mut self) {
        if self.callback.is_some() {
            self.tell(Finished::stopped());
        }
    }
}

impl fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnEnd").field("id", &self.id).field("stores", &self.stores).finish_non_exhaustive()
    }
}
