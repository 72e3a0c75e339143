//! The end of a task, on its worker's own thread: a result that votes is stored, durably, before anybody hears of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use surge_protocol::api::{Lease, SignedResult};
use surge_protocol::epoch::ResultBody;
use surge_protocol::{Code, Digest, Outcome};
use surge_supervisor::Finished;

use super::Work;
use crate::clock::unix_now;
use crate::plan::Ending;
use crate::trouble::{Part, disk_full, worker_broken};

/// How long a full disk is left alone before the next try.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// Endings of a worker that say nothing of its task: another may do better.
const MISHAPS: [&str; 4] = ["killed", "crashed", "stalled", "checkpoint"];

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
pub(super) fn conclude(work: &Arc<Work>, lease: &Lease, finished: Finished, before: Option<SystemTime>) -> Ending {
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
    if here && work.troubles.set(Part::Worker, worker_broken(&finished.detail, unix_now())) {
        tracing::warn!(detail = %finished.detail, %code, "A worker failed");
    }
    Ending::NoVote { outcome: *outcome, code: code.clone(), here }
}

fn stored(work: &Arc<Work>, lease: &Lease, finished: Finished) -> Ending {
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
    let signature = work.link.device().sign(&result.message(), &work.link.network().domain());
    keep(work, &SignedResult { result, signature }, &finished.output);
    Ending::Stored
}

/// Stores a result, waiting for the disk if it is full: work that was done is not thrown away. An engine that stops
/// meanwhile leaves the task's checkpoint and its lease to the next.
fn keep(work: &Work, signed: &SignedResult, output: &[u8]) {
    while let Err(problem) = try_keep(work, signed, output) {
        // What can be fetched again makes room for what can't.
        if work.blobs.free(output.len() as u64 + (1 << 20)) > 0 {
            continue;
        }
        if work.troubles.set(Part::Disk, disk_full(&problem)) {
            tracing::warn!(problem, "Can't store a finished result; trying again");
        }
        std::thread::sleep(DISK_PATIENCE);
    }
    work.troubles.clear(Part::Disk);
}

fn try_keep(work: &Work, signed: &SignedResult, output: &[u8]) -> Result<(), String> {
    let _keeping = work.keeping();
    work.outputs.put(output).map_err(|error| error.to_string())?;
    work.store.finish(signed, unix_now()).map_err(|error| error.to_string())
}
