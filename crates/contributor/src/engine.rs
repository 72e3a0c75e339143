//! The engine as a whole: its parts, how they are started and watched, and the order in which it ends.
//!
//! Three threads of its own decide, watch the home's files, and keep what the owner wants; a fourth steers the sensors. All
//! else runs on a pool of threads that the engine makes itself. None of them waits for another's disk, and [`decide`] waits
//! for nobody at all.

mod account;
mod attachment;
mod decide;
mod ending;
mod files;
mod inputs;
mod keeper;
mod parts;
mod presenter;
mod sensing;
mod start;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::setup::SetupError;
use crate::view::Snapshot;

pub(crate) use attachment::Attached;
pub(crate) use files::FilesView;
pub(crate) use inputs::{Decided, Input, Inputs, Order};
pub(crate) use parts::Part;
pub use start::{StartError, start};

/// How long workers may take to stand still. It is a matter of milliseconds.
const STILL_WITHIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(2);

/// Why an engine has ended.
#[derive(Debug, Clone)]
pub enum End {
    /// It was asked to.
    Asked,
    /// It is not set up, and was told not to wait until it is.
    NotSetUp(Arc<SetupError>),
    /// Its home was removed, or replaced by another: whoever makes one there can start another engine.
    HomeGone,
    /// This part of it ended by itself or panicked, which is a fault of Surge.
    Broken(&'static str),
}

/// A running engine.
#[derive(Debug)]
pub struct Handle {
    snapshots: watch::Receiver<Snapshot>,
    inputs: Inputs,
    attached: watch::Receiver<Option<Arc<Attached>>>,
    stop: mpsc::UnboundedSender<()>,
    parts: parts::Parts,
    ended: oneshot::Receiver<End>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Handle {
    /// The engine's state, renewed every second or two.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.clone()
    }

    /// Asks it to end: workers are killed, their tasks given back, finished results stay in the store.
    pub fn stop(&self) {
        // It may have ended.
        let _ = self.stop.send(());
    }

    /// Waits until it has ended in order.
    pub async fn ended(&mut self) -> End {
        (&mut self.ended).await.unwrap_or(End::Broken("end"))
    }

    /// Holds all work until [`Self::go_on`], and waits until no worker computes any more: this process is about to be
    /// stopped, and could not hold anything then. A worker that does not stand still is killed.
    pub async fn suspend(&self) {
        let (decided, is_decided) = oneshot::channel();
        self.inputs.send(Input::Suspend(decided));
        if tokio::time::timeout(STILL_WITHIN, self.still(is_decided)).await.is_err()
            && let Some(attached) = &*self.attached.borrow()
        {
            tracing::error!("Workers do not stand still; they are killed");
            attached.work.supervisor.workers().iter().for_each(|worker| attached.work.supervisor.kill(worker.id));
        }
    }

    async fn still(&self, decided: oneshot::Receiver<()>) {
        // Without an answer the decision loop has ended, which holds all work.
        let _ = decided.await;
        let running = || match &*self.attached.borrow() {
            Some(attached) => attached.work.supervisor.workers().iter().any(|worker| !worker.is_held()),
            None => false,
        };
        while running() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends what [`Self::suspend`] began.
    pub fn go_on(&self) {
        self.inputs.send(Input::GoOn);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.parts.end();
        if let Some(runtime) = self.runtime.take() {
            // A disk that hangs may hold one of its threads for ever.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
