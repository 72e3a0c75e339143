//! The end of a task, on its worker's own thread: a result that votes is stored, durably, before anybody hears of it.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use surge_protocol::api::{Lease, SignedResult};
use surge_protocol::epoch::ResultBody;
use surge_protocol::{Code, Digest, Outcome};
use surge_supervisor::Finished;
use thiserror::Error;

use super::Work;
use super::driver::Message;
use crate::blobs::BlobError;
use crate::clock::unix_now;
use crate::plan::{Ending, Input};
use crate::store::StoreError;
use crate::trouble::{Part, cache_unusable, store_unusable, worker_broken, worker_changed};

/// Endings of a worker that say nothing of its task: another may do better.
const MISHAPS: [&str; 4] = ["killed", "crashed", "stalled", "checkpoint"];

/// The ending of a worker of another version than this engine's: the package was upgraded while it ran.
const WORKER_CHANGED: &str = "worker_changed";

/// Why a result could not be stored.
#[derive(Debug, Error)]
enum NotStored {
    #[error(transparent)]
    Output(#[from] BlobError),
    #[error(transparent)]
    Result(#[from] StoreError),
}

impl NotStored {
    fn disk_full(&self) -> bool {
        match self {
            Self::Output(error) => error.disk_full(),
            Self::Result(error) => error.disk_full(),
        }
    }
}

/// A worker that came to nothing, or never came to be.
pub(super) fn lost(code: &str) -> Ending {
    Ending::Lost { outcome: Outcome::Host, code: Code::word(code), further: false }
}

/// When the newest checkpoint in `folder` was made.
pub(super) fn progress(folder: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

/// Keeps a result that may vote. `before`: when the newest checkpoint was made that the worker began with.
pub(super) fn conclude(work: &Work, lease: &Lease, finished: Finished, before: Option<SystemTime>) -> Ending {
    tracing::info!(
        job = %lease.job_name, index = lease.index, lease = %lease.lease, outcome = finished.outcome.name(),
        code = %finished.code, cpu_ms = finished.cpu_ms, resumed = finished.resumed, "Task ended"
    );
    work.ended_ms.fetch_add(finished.cpu_ms, Ordering::Relaxed);
    let Finished { outcome, code, .. } = &finished;
    if outcome.votes(code) {
        work.troubles.clear(Part::Worker);
        return stored(work, lease, finished);
    }
    if *outcome == Outcome::Host && MISHAPS.iter().any(|mishap| *code == Code::word(mishap)) {
        let further = progress(&work.checkpoints_of(lease.lease)) > before;
        return Ending::Lost { outcome: *outcome, code: code.clone(), further };
    }
    let here = *outcome == Outcome::Host;
    let reason = match *code == Code::word(WORKER_CHANGED) {
        true => worker_changed(),
        false => worker_broken(&finished.detail, unix_now()),
    };
    if here && work.troubles.set(Part::Worker, reason) {
        tracing::warn!(detail = %finished.detail, %code, "A worker failed");
    }
    Ending::NoVote { outcome: *outcome, code: code.clone(), here }
}

fn stored(work: &Work, lease: &Lease, finished: Finished) -> Ending {
    let result = ResultBody {
        lease: lease.lease,
        task: lease.task,
        outcome: finished.outcome,
        code: finished.code,
        digest: finished.digest,
        output: Digest::of(&finished.output),
        runtime_class: finished.runtime_class,
        fuel: finished.fuel,
        cpu_ms: finished.cpu_ms,
        resumed: finished.resumed,
    };
    keep(work, &work.link.sign(result), &finished.output);
    Ending::Stored
}

/// Stores a result, waiting for a disk that does not take it: work that was done is not thrown away. While the engine stops,
/// the driver is told not to wait for it; this thread tries on until the process ends, because the task's checkpoints go
/// when it returns.
fn keep(work: &Work, signed: &SignedResult, output: &[u8]) {
    let mut told = false;
    let mut stopping = false;
    while let Err(error) = try_keep(work, signed, output) {
        let full = error.disk_full();
        // What can be fetched again makes room for what can't. Removing it mends nothing but a full disk.
        if full && work.blobs.free(output.len() as u64 + (1 << 20)) > 0 {
            continue;
        }
        let reason = match &error {
            NotStored::Output(error) => cache_unusable(error),
            NotStored::Result(error) => store_unusable(error),
        };
        if work.troubles.set(Part::Store, reason) {
            tracing::warn!(%error, "Can't store a finished result; trying again");
        }
        if stopping && !std::mem::replace(&mut told, true) {
            work.tell(Message::Input(Input::Ended(signed.result.lease, Ending::Unstored)));
        }
        if stopping {
            std::thread::sleep(work.disk_patience);
        } else {
            stopping = work.stopping.wait(work.disk_patience);
        }
    }
    work.troubles.clear(Part::Store);
}

fn try_keep(work: &Work, signed: &SignedResult, output: &[u8]) -> Result<(), NotStored> {
    let _keeping = work.keeping();
    work.outputs.put(output)?;
    Ok(work.store.finish(signed, unix_now())?)
}
