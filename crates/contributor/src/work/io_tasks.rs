//! What the loop asks of the network and the disk. Each call is one task of the runtime that ends with one message.

use std::sync::Arc;
use std::time::Duration;

use surge_platform::load::Load;
use surge_protocol::api::{Lease, LeaseId, LeaseReply, LeaseRequest, LeaseState, MAX_BLOB, RequestId, ReturnLease};
use surge_protocol::task::{BlobRef, Limits, TaskSpec, valid_data_name};
use surge_protocol::{Code, Digest, Outcome};
use surge_supervisor::{Checkpoints, Task};
use tokio::sync::oneshot;

use super::Work;
use super::conclude::progress;
use super::driver::{Built, Message};
use crate::blobs::{BlobError, Blobs};
use crate::blocking::blocking;
use crate::clock::unix_now;
use crate::link::LinkError;
use crate::plan::{Heard, Input, Millis, Obstacle};
use crate::trouble::{Part, no_work, of_link, store_unusable};

/// How long the coordinator may hold a request for work.
const LONG_POLL_SECONDS: u32 = 20;
/// How long after a lease could not be recorded another is asked for, milliseconds.
const RECORD_PATIENCE: Millis = 60_000;
/// How often it is tried to give a lease back. Then it ends by itself.
pub(super) const MOST_RETURNS: u32 = 4;
/// What a task may write to its log, and lay down in files, at most, bytes: an engine keeps both in memory. Its output has
/// the bound of a blob.
const MOST_LOG: u64 = 16 << 20;
const MOST_FILES: u64 = MAX_BLOB;

pub(super) fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// Asks for a task, and records the lease before anything else is done with it. `cancelled` ends the request early.
pub(super) async fn ask(work: Arc<Work>, id: RequestId, mut cancelled: oneshot::Receiver<()>) -> Message {
    let requested = async {
        let load = known_load(&work).await;
        let asker = Arc::clone(&work);
        blocking(move || (!asker.lock.is_lost()).then(|| request(&asker, id, load))).await
    };
    let request = tokio::select! {
        biased;
        _ = &mut cancelled => return Message::Input(Input::AskCancelled),
        request = requested => request,
    };
    // Another engine may work with this device's key by now. This one ends within a moment.
    let Some(request) = request else { return Message::Input(Input::AskFailed { after: None }) };
    let reply = tokio::select! {
        biased;
        reply = work.link.lease(request) => reply,
        _ = cancelled => return Message::Input(Input::AnswerLost { after: None }),
    };
    match reply {
        Ok(LeaseReply::Lease(lease)) => {
            work.troubles.clear(Part::Line);
            recorded(&work, lease).await
        }
        Ok(LeaseReply::Nothing { retry_after_seconds }) => {
            let seconds = u64::from(retry_after_seconds);
            work.troubles.set(Part::Line, no_work(unix_now() + seconds));
            Message::Input(Input::Nothing { after: seconds.saturating_mul(1_000) })
        }
        Err(error) => {
            let after = error.retry_after();
            let lost = error.may_be_done();
            let until = unix_now() + after.map_or(1, |after| after.as_secs());
            if work.troubles.set(Part::Line, of_link(&error, until)) {
                tracing::warn!(%error, "Can't get work");
            }
            let after = after.map(millis);
            Message::Input(if lost { Input::AnswerLost { after } } else { Input::AskFailed { after } })
        }
    }
}

/// The newest load. While none is known, nothing is asked for: a load that is made up would bring a task that this
/// computer has no room for.
async fn known_load(work: &Work) -> Load {
    let mut loads = work.load.clone();
    match loads.wait_for(Option::is_some).await.map(|load| *load) {
        Ok(Some(load)) => load,
        // Nobody decides any more: the engine ends, and cancels this.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

fn request(work: &Work, id: RequestId, load: Load) -> LeaseRequest {
    LeaseRequest {
        request: id,
        free_memory_bytes: work.memory_limit.min(load.available_bytes),
        load_percent: load.cpu_percent,
        held: work.blobs.held(),
        runtime_class: work.runtime_class.clone(),
        wait_seconds: LONG_POLL_SECONDS,
    }
}

/// A lease that can't be recorded is given back: its task would be lost with this process.
async fn recorded(work: &Arc<Work>, lease: Box<Lease>) -> Message {
    let recorder = Arc::clone(work);
    let id = lease.lease;
    let recorded = blocking(move || {
        let begun = recorder.store.begin(&lease, unix_now());
        if begun.as_ref().is_err_and(crate::store::StoreError::disk_full) {
            recorder.blobs.free(1 << 20);
        }
        begun.map(|()| lease)
    });
    match recorded.await {
        Ok(lease) => {
            work.troubles.clear(Part::Store);
            Message::Leased(lease)
        }
        Err(error) => {
            if work.troubles.set(Part::Store, store_unusable(&error)) {
                tracing::warn!(%error, "A lease can't be recorded");
            }
            try_to_give_back(work, id, ReturnLease { outcome: None, code: None }, MOST_RETURNS).await;
            Message::Input(Input::AskFailed { after: Some(RECORD_PATIENCE) })
        }
    }
}

/// Fetches and verifies what a task needs.
pub(super) async fn fetch(work: Arc<Work>, lease: Arc<Lease>) -> Message {
    let id = lease.lease;
    if !fits(&lease.spec, work.memory_limit) {
        return Message::Input(Input::NotFetched(id, Obstacle::Unfit));
    }
    for blob in needed(&lease.spec) {
        if let Err(error) = work.link.fetch(blob, work.blobs.clone()).await {
            return Message::Input(Input::NotFetched(id, obstacle(&work, &error, id)));
        }
    }
    work.troubles.clear(Part::Cache);
    Message::Input(Input::Fetched(id))
}

/// Whether this node runs such a task. Its limits are not believed because a coordinator signed for them.
pub(super) fn fits(spec: &TaskSpec, memory_limit: u64) -> bool {
    let Limits { memory_bytes, cpu_ms, output_bytes, log_bytes, files_bytes } = spec.limits;
    let sizes = [spec.module.size, spec.stdin.size, output_bytes];
    memory_bytes > 0
        && memory_bytes <= memory_limit
        && cpu_ms > 0
        && log_bytes <= MOST_LOG
        && files_bytes <= MOST_FILES
        && sizes.iter().all(|size| *size <= MAX_BLOB)
        && spec.data.iter().all(|set| valid_data_name(&set.name))
}

fn needed(spec: &TaskSpec) -> impl Iterator<Item = BlobRef> + '_ {
    let data = spec.data.iter().map(|set| BlobRef { digest: set.digest, size: set.size });
    [spec.module, spec.stdin].into_iter().chain(data)
}

fn obstacle(work: &Work, error: &LinkError, lease: LeaseId) -> Obstacle {
    let (part, obstacle) = match error {
        LinkError::Blob(blob) if blob.is_local() => (Part::Cache, Obstacle::Host),
        LinkError::Refused { .. } => (Part::Line, Obstacle::Host),
        _ => (Part::Line, Obstacle::Line),
    };
    if work.troubles.set(part, of_link(error, unix_now())) {
        tracing::warn!(%error, %lease, "Can't get what a task needs");
    }
    obstacle
}

/// Reads a task's parts for its worker.
pub(super) async fn build(work: Arc<Work>, lease: Arc<Lease>) -> Message {
    let id = lease.lease;
    let read = move || {
        let task = task(&work, &lease)?;
        Ok::<_, BlobError>(Built { task: Box::new(task), progress: progress(&work.checkpoints_of(lease.lease)) })
    };
    let built = blocking(read).await.inspect_err(|error| {
        tracing::warn!(%error, lease = %id, "A task's input can't be read any more");
    });
    Message::Built(id, built.ok())
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
    blobs.read(digest).inspect_err(|error| {
        // Rotten on this disk: the next try fetches it anew. One that can't be read just now may be sound.
        if matches!(error, BlobError::Digest { .. }) {
            blobs.remove(digest);
        }
    })
}

/// Says that a lease is alive.
pub(super) async fn beat(work: Arc<Work>, lease: LeaseId, state: LeaseState) -> Message {
    let heard = match work.link.heartbeat(lease, state).await {
        Ok(reply) if reply.stop => Heard::Over,
        Ok(reply) => Heard::Extended(reply.expires_in_seconds.saturating_mul(1_000)),
        Err(error) if error.lease_is_over() => Heard::Over,
        // Refused for another reason, the lease may be alive: its task and its checkpoints are not thrown away.
        Err(error) => {
            work.troubles.set(Part::Line, of_link(&error, unix_now()));
            Heard::Failed
        }
    };
    Message::Input(Input::Beaten(lease, heard))
}

/// Tells the coordinator that a task is for somebody else.
pub(super) async fn give_back(work: Arc<Work>, lease: LeaseId, why: Option<(Outcome, Code)>) -> Message {
    let (outcome, code) = why.unzip();
    try_to_give_back(&work, lease, ReturnLease { outcome, code }, MOST_RETURNS).await;
    Message::LetGo
}

/// Tells the coordinator that what it gave to `request`, or is about to give, is for somebody else.
pub(super) async fn decline(work: Arc<Work>, request: RequestId, tries: u32) -> Message {
    let lease = work.link.lease_id(request);
    try_to_give_back(&work, lease, ReturnLease { outcome: None, code: None }, tries).await;
    Message::LetGo
}

async fn try_to_give_back(work: &Work, lease: LeaseId, why: ReturnLease, tries: u32) {
    for failures in 0..tries {
        let Err(error) = work.link.give_back(lease, why.clone()).await else { return };
        tracing::debug!(%error, %lease, "Could not give a task back");
        if !error.passing() || failures + 1 == tries {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1 << failures)).await;
    }
}

/// Lets go of everything that was kept for a lease that is over.
pub(super) async fn forget(work: Arc<Work>, lease: LeaseId) -> Message {
    let forget = move || {
        if let Err(error) = work.store.end(lease) {
            tracing::warn!(%error, %lease, "A lease that is over could not be forgotten; the coordinator will be asked");
        }
        // Without checkpoints there is nothing to remove.
        let _ = std::fs::remove_dir_all(work.checkpoints_of(lease));
    };
    blocking(forget).await;
    Message::LetGo
}
