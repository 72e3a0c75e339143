//! The coordinator's own run of a task, which decides where nodes disagree or are too few.
//!
//! One at a time: it shares the machine with the service. Deliberately absent: wasmtime; a worker process computes.

pub mod worker;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use surge_protocol::Digest;
use surge_protocol::api::TaskId;
use surge_protocol::task::TaskSpec;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::blobs::Blobs;
use crate::coordinator::Coordinator;
use crate::error::Result;
use crate::leases::spec;
use crate::sweep::give_up;

/// Why a run decided nothing.
#[derive(Debug, Error)]
pub enum ReplayError {
    #[error("a blob of the task cannot be read: {0}")]
    Blob(#[from] crate::error::Error),
    #[error("a blob of the task cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It ended in a way that says nothing about the program.
    #[error("the run ended as {outcome}/{code}: {detail}")]
    NoVote { outcome: &'static str, code: String, detail: String },
}

/// Computes tasks.
pub trait Replay: fmt::Debug + Send + Sync + 'static {
    /// What it computes with; only results of this class can be judged.
    fn runtime_class(&self) -> &str;
    /// The true result digest of a task whose blobs are in `blobs`.
    fn run<'a>(&'a self, spec: TaskSpec, blobs: &'a Blobs) -> BoxFuture<'a, std::result::Result<Digest, ReplayError>>;
}

/// Computes what the sweep queued, one task after the other, until the coordinator stops.
pub(crate) async fn run(coordinator: Arc<Coordinator>, mut queue: UnboundedReceiver<TaskId>) {
    while let Some(task) = queue.recv().await {
        if let Err(error) = replay(&coordinator, task).await {
            tracing::warn!(%error, %task, "A replay's verdict was not stored; the sweep queues it again");
            coordinator.board().replay_failed(task);
        }
    }
}

async fn replay(coordinator: &Arc<Coordinator>, task: TaskId) -> Result<()> {
    let Some(grant) = coordinator.board().grant(task) else { return Ok(()) };
    let run = coordinator.world.replay.run(spec(&grant.order, grant.index), &coordinator.blobs);
    match run.await {
        Ok(truth) => {
            let now = coordinator.now();
            match coordinator.store.replayed(task, truth, now).await? {
                Some(verdict) => coordinator.judged(&verdict, now),
                None => coordinator.board().close(task, now),
            }
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, %task, "The coordinator could not compute a task");
            let over = coordinator.board().replay_failed(task);
            if over { give_up(coordinator, task).await } else { Ok(()) }
        }
    }
}
