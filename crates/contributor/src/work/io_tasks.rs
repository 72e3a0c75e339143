//! What the loop asks of the network and the disk, each call one errand that brings back news.

use std::sync::{Arc, PoisonError};

use surge_protocol::api::{Lease, LeaseId, LeaseReply, LeaseRequest, LeaseState, ReturnLease};
use surge_protocol::task::{BlobRef, TaskSpec, valid_data_name};
use surge_protocol::{Code, Digest, Outcome};
use surge_supervisor::{Checkpoints, Task};

use super::{News, Work};
use crate::blobs::{BlobError, Blobs};
use crate::clock::unix_now;
use crate::link::LinkError;
use crate::plan::{Event, Heard, Millis, Obstacle};
use crate::trouble::{Part, disk_full, no_work, of_link};

/// How long the coordinator may hold a request for work.
const LONG_POLL_SECONDS: u32 = 20;

pub(super) fn millis(time: std::time::Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// Asks for a task, and records the lease before anything else is done with it.
pub(super) async fn ask(work: Arc<Work>) -> News {
    let load = work.load.lock().unwrap_or_else(PoisonError::into_inner).read();
    let request = LeaseRequest {
        free_memory_bytes: work.memory_limit.min(load.available_bytes),
        load_percent: load.cpu_percent,
        held: work.blobs.held(),
        runtime_class: work.runtime_class.clone(),
        wait_seconds: LONG_POLL_SECONDS,
    };
    match work.link.lease(&request).await {
        Ok(LeaseReply::Lease(lease)) => {
            work.troubles.clear(Part::Line);
            recorded(&work, lease).await
        }
        Ok(LeaseReply::Nothing { retry_after_seconds }) => {
            let seconds = u64::from(retry_after_seconds);
            work.troubles.set(Part::Line, no_work(unix_now() + seconds));
            News::Event(Event::Nothing { after: seconds.saturating_mul(1_000) })
        }
        Err(error) => {
            let after = error.retry_after();
            let until = unix_now() + after.map_or(1, |after| after.as_secs());
            if work.troubles.set(Part::Line, of_link(&error, until)) {
                tracing::warn!(%error, "Can't get work");
            }
            News::Event(Event::AskFailed { after: after.map(millis) })
        }
    }
}

/// A lease that can't be recorded is given back: its task would be lost with this process.
async fn recorded(work: &Arc<Work>, lease: Box<Lease>) -> News {
    match work.store.begin(&lease, unix_now()) {
        Ok(()) => News::Leased(lease),
        Err(error) => {
            if error.disk_full() {
                work.blobs.free(1 << 20);
            }
            if work.troubles.set(Part::Disk, disk_full(&error.to_string())) {
                tracing::warn!(%error, "A lease can't be recorded");
            }
            give_back(work, lease.lease, None).await;
            News::Event(Event::AskFailed { after: Some(60_000) })
        }
    }
}

/// Fetches and verifies what a task needs.
pub(super) async fn fetch(work: Arc<Work>, lease: Arc<Lease>) -> News {
    let id = lease.lease;
    if !fits(&work, &lease.spec) {
        return News::Event(Event::NotFetched(id, Obstacle::Unfit));
    }
    for blob in needed(&lease.spec) {
        if let Err(error) = work.link.fetch(blob, &work.blobs).await {
            return News::Event(Event::NotFetched(id, obstacle(&work, &error, id)));
        }
    }
    work.troubles.clear(Part::Disk);
    News::Event(Event::Fetched(id))
}

fn fits(work: &Work, spec: &TaskSpec) -> bool {
    spec.limits.memory_bytes <= work.memory_limit && spec.data.iter().all(|set| valid_data_name(&set.name))
}

fn needed(spec: &TaskSpec) -> impl Iterator<Item = BlobRef> + '_ {
    let data = spec.data.iter().map(|set| BlobRef { digest: set.digest, size: set.size });
    [spec.module, spec.stdin].into_iter().chain(data)
}

fn obstacle(work: &Work, error: &LinkError, lease: LeaseId) -> Obstacle {
    let (part, obstacle) = match error {
        LinkError::Blob(blob) if blob.disk_full() => (Part::Disk, Obstacle::Host),
        LinkError::Blob(BlobError::NoRoom { .. } | BlobError::Io { .. }) => (Part::Disk, Obstacle::Host),
        LinkError::Refused { .. } => (Part::Line, Obstacle::Host),
        _ => (Part::Line, Obstacle::Line),
    };
    if work.troubles.set(part, of_link(error, unix_now())) {
        tracing::warn!(%error, %lease, "Can't get what a task needs");
    }
    obstacle
}

/// Reads a task's parts for its worker.
pub(super) async fn build(work: Arc<Work>, lease: Arc<Lease>) -> News {
    let id = lease.lease;
    let read = tokio::task::spawn_blocking(move || task(&work, &lease)).await;
    let task = match read {
        Ok(Ok(task)) => Some(Box::new(task)),
        Ok(Err(error)) => {
            tracing::warn!(%error, lease = %id, "A task's input can't be read any more");
            None
        }
        Err(_) => None,
    };
    News::Built(id, task)
}

fn task(work: &Work, lease: &Lease) -> Result<Task, BlobError> {
    let spec = &lease.spec;
    let module = verified(&work.blobs, spec.module.digest)?;
    let stdin = verified(&work.blobs, spec.stdin.digest)?;
    let mut data = Vec::new();
    for set in &spec.data {
        let blob = BlobRef { digest: set.digest, size: set.size };
        let file = work.blobs.get(blob).ok_or(BlobError::Size { digest: set.digest, expected: set.size, actual: 0 })?;
        data.push((set.name.clone(), Arc::new(file)));
    }
    Ok(Task {
        args: spec.args.clone(),
        module: module.into(),
        stdin: stdin.into(),
        data,
        limits: spec.limits,
        meter: spec.meter,
        seed: spec.seed,
        checkpoints: lease.checkpoints.then(|| checkpoints(work, lease)),
    })
}

/// Where a lease's checkpoints are: under a name that stands for all that its result depends on.
fn checkpoints(work: &Work, lease: &Lease) -> Checkpoints {
    let text = serde_json::to_vec(&(lease.task, &lease.spec)).expect("a task has string keys only");
    Checkpoints { folder: work.checkpoints_of(lease.lease), task: Digest::of(&text), every: work.checkpoint_every }
}

fn verified(blobs: &Blobs, digest: Digest) -> Result<Vec<u8>, BlobError> {
    blobs.read(digest).inspect_err(|_| {
        // Rotten on this disk: the next try fetches it anew.
        blobs.remove(digest);
    })
}

/// Says that a lease is alive.
pub(super) async fn beat(work: Arc<Work>, lease: LeaseId, state: LeaseState) -> News {
    let heard = match work.link.heartbeat(lease, state).await {
        Ok(reply) if reply.stop => Heard::Over,
        Ok(reply) => Heard::Extended(reply.expires_in_seconds.saturating_mul(1_000)),
        Err(error) if error.passing() => {
            work.troubles.set(Part::Line, of_link(&error, unix_now()));
            Heard::Failed
        }
        Err(_) => Heard::Over,
    };
    News::Event(Event::Beaten(lease, heard))
}

/// Tells the coordinator that a task is for somebody else. A lease that could not be given back ends by itself.
pub(super) async fn give_back(work: &Work, lease: LeaseId, why: Option<(Outcome, Code)>) {
    let (outcome, code) = why.unzip();
    if let Err(error) = work.link.give_back(lease, &ReturnLease { outcome, code }).await {
        tracing::debug!(%error, %lease, "Could not give a task back");
    }
}
