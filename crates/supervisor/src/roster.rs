//! The worker processes that are alive, for whoever asks.
//!
//! Deliberately absent: the control thread, which decides without looking here, and so never waits for this lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::child::Child;
use crate::verdict::Cause;
use crate::{WorkerId, WorkerStatus};

/// What the control thread has decided about one worker, for the worker's own threads and for the roster to read.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    /// Why it is killed. Set once, before the kill.
    pub(crate) cause: OnceLock<Cause>,
    suspended: AtomicBool,
    /// The bits of an `f32`.
    share: AtomicU32,
}

impl Decided {
    pub(crate) fn share(&self) -> f32 {
        f32::from_bits(self.share.load(Ordering::Relaxed))
    }

    pub(crate) fn set_share(&self, share: f32) {
        self.share.store(share.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Relaxed)
    }

    /// Notes that it is suspended, or is not; returns what it was before.
    pub(crate) fn set_suspended(&self, suspended: bool) -> bool {
        self.suspended.swap(suspended, Ordering::Relaxed)
    }
}

/// A table that is shared by its clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster(Arc<Mutex<Workers>>);

type Workers = BTreeMap<WorkerId, (Arc<dyn Child>, Arc<Decided>)>;

impl Roster {
    pub(crate) fn add(&self, id: WorkerId, process: Arc<dyn Child>, decided: Arc<Decided>) {
        self.lock().insert(id, (process, decided));
    }

    pub(crate) fn remove(&self, id: WorkerId) {
        self.lock().remove(&id);
    }

    pub(crate) fn statuses(&self) -> Vec<WorkerStatus> {
        // The clocks are read without the lock.
        let workers = self.lock().clone();
        let status = |(id, (process, decided)): (WorkerId, (Arc<dyn Child>, Arc<Decided>))| WorkerStatus {
            id,
            pid: process.pid(),
            share: decided.share(),
            suspended: decided.is_suspended(),
            cpu_ms: u64::try_from(process.cpu_time().as_millis()).unwrap_or(u64::MAX),
        };
        workers.into_iter().map(status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Workers> {
        // A plain table: what a panicking thread left there is still true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
