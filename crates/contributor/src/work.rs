//! The work loop: asks for tasks, runs them in workers, delivers their results.
//!
//! `plan` decides what is next; the driver does it, one task of the runtime for each piece of I/O. A result leaves a worker
//! only into the store, on that worker's own thread, before anybody else hears of it, and is delivered from there: neither an
//! outage nor a crash loses finished work.

mod boot_clock;
mod conclude;
mod deliver;
mod driver;
mod io_tasks;
mod outside;
mod recover;
mod stopping;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use surge_platform::load::Load;
use surge_platform::lock::LockPath;
use surge_protocol::Digest;
use surge_protocol::api::LeaseId;
use surge_supervisor::{Budget, WorkerId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::blobs::Blobs;
use crate::gate::Decision;
use crate::store::NetworkStore;
use crate::trouble::Troubles;

pub(crate) use boot_clock::BootClock;
pub(crate) use driver::Driver;
use driver::{FAREWELL, Message};
use outside::{Clock, Coordinator, Workers};
pub(crate) use recover::recover;
use stopping::Stopping;

/// A task that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunningTask {
    pub(crate) worker: WorkerId,
    pub(crate) lease: Digest,
    pub(crate) job_name: String,
    pub(crate) index: u64,
    /// Its lease's place in the order of arrival: the first run when there are fewer workers than tasks.
    rank: u64,
}

/// All that the work loop is built from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) link: Box<dyn Coordinator>,
    pub(crate) supervisor: Box<dyn Workers>,
    pub(crate) clock: Box<dyn Clock>,
    /// The home's.
    pub(crate) lock: LockPath,
    pub(crate) store: NetworkStore,
    pub(crate) blobs: Blobs,
    /// Outputs of finished tasks until they are delivered.
    pub(crate) outputs: Blobs,
    /// Has a folder for each lease.
    pub(crate) checkpoints: PathBuf,
    /// CPU time between two checkpoints of a task, at least.
    pub(crate) checkpoint_every: Duration,
    pub(crate) runtime_class: String,
    /// Memory that a task may ask for, bytes.
    pub(crate) memory_limit: u64,
    /// The load on which work was allowed to run; `None` while it is not.
    pub(crate) load: watch::Receiver<Option<Load>>,
    /// How long a disk that takes no result is left alone before the next try.
    pub(crate) disk_patience: Duration,
}

/// What the engine, the driver and the threads of workers share.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) link: Box<dyn Coordinator>,
    pub(crate) supervisor: Box<dyn Workers>,
    pub(crate) store: NetworkStore,
    pub(crate) troubles: Troubles,
    pub(crate) gate: watch::Sender<Decision>,
    lock: LockPath,
    blobs: Blobs,
    outputs: Blobs,
    checkpoints: PathBuf,
    checkpoint_every: Duration,
    runtime_class: String,
    memory_limit: u64,
    disk_patience: Duration,
    load: watch::Receiver<Option<Load>>,
    /// For showing only: the driver has its own table.
    running: watch::Sender<Vec<RunningTask>>,
    /// Held while an output and its result are stored together, or looked at together.
    keeping: Mutex<()>,
    /// CPU time of workers that have ended, milliseconds.
    ended_ms: AtomicU64,
    /// Tasks that have begun and not ended, whether or not they have a worker just now.
    begun: AtomicU32,
    driver: UnboundedSender<Message>,
    /// Whether the driver has ended.
    ended: watch::Sender<bool>,
    stopping: Stopping,
}

impl Work {
    fn new(parts: Parts) -> (Self, Box<dyn Clock>, UnboundedReceiver<Message>) {
        let (driver, inbox) = unbounded_channel();
        let work = Self {
            link: parts.link,
            supervisor: parts.supervisor,
            store: parts.store,
            troubles: Troubles::default(),
            // Nothing runs before the first conditions are there.
            gate: watch::Sender::new(Decision::Hold(Vec::new())),
            lock: parts.lock,
            blobs: parts.blobs,
            outputs: parts.outputs,
            checkpoints: parts.checkpoints,
            checkpoint_every: parts.checkpoint_every,
            runtime_class: parts.runtime_class,
            memory_limit: parts.memory_limit,
            disk_patience: parts.disk_patience,
            load: parts.load,
            running: watch::Sender::new(Vec::new()),
            keeping: Mutex::default(),
            ended_ms: AtomicU64::default(),
            begun: AtomicU32::default(),
            driver,
            ended: watch::Sender::new(false),
            stopping: Stopping::default(),
        };
        (work, parts.clock, inbox)
    }

    /// Tasks that have begun and not ended, those that wait for a worker after a restart included. Takes no lock.
    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// The tasks that have a worker, in the order in which they run.
    pub(crate) fn running(&self) -> watch::Ref<'_, Vec<RunningTask>> {
        self.running.borrow()
    }

    /// Memory that a task may ask for, bytes.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory_limit
    }

    /// CPU time of workers that have ended, milliseconds.
    pub(crate) fn ended_ms(&self) -> u64 {
        self.ended_ms.load(Ordering::Relaxed)
    }

    /// Applies a decision to every worker at once, and tells the loop. Waits for nothing.
    pub(crate) fn decide(&self, decision: Decision) {
        self.supervisor.set_budget(match &decision {
            Decision::Run(budget) => Budget { workers: budget.workers, share: budget.share },
            Decision::Hold(_) => Budget::HOLD,
        });
        self.gate.send_replace(decision);
    }

    /// Ends the newest tasks, so that at most `room` stay in memory. Waits for nothing.
    pub(crate) fn shed(&self, room: u32) {
        self.tell(Message::Shed(room));
    }

    fn tell(&self, message: Message) {
        // Without a driver the engine is stopping, or about to find out that it must.
        let _ = self.driver.send(message);
    }

    fn keeping(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checkpoints_of(&self, lease: LeaseId) -> PathBuf {
        self.checkpoints.join(lease.to_string())
    }
}

/// Ends the loop in order: first the open request for work, then the workers, then what is held is given back. A task that
/// can go on from a checkpoint is left to the next engine. Returns when that is done, or after [`FAREWELL`].
pub(crate) async fn stop(work: &Arc<Work>) {
    work.stopping.begin();
    work.tell(Message::Stop);
    let mut ended = work.ended.subscribe();
    // The driver keeps to the bound itself; this one is for a runtime that does not run it.
    let over = tokio::time::timeout(FAREWELL * 2, ended.wait_for(|ended| *ended)).await;
    if over.is_err() {
        tracing::error!("The work loop did not end");
    }
}
