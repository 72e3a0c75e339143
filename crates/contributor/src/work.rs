//! The work loop of one slot: lease a task, fetch what it needs, run it, keep its result.
//!
//! A result leaves a slot only into the store; the courier delivers it from there, so that neither an outage nor a
//! crash loses finished work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use surge_protocol::api::{Lease, LeaseReply, LeaseRequest, LeaseState, ReturnLease, SignedResult};
use surge_protocol::epoch::ResultBody;
use surge_protocol::task::{BlobRef, TaskSpec, valid_data_name};
use surge_protocol::{Code, Digest, Outcome};
use surge_supervisor::{Finished, Supervisor, Task, WorkerId};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

use crate::blobs::{BlobError, Blobs};
use crate::clock::unix_now;
use crate::gate::Decision;
use crate::link::{Link, LinkError};
use crate::store::Store;
use crate::trouble::{Part, Troubles, disk_full, no_work, of_link, worker_broken};

/// How long the coordinator may hold a request for work.
const LONG_POLL_SECONDS: u32 = 20;
/// So many host failures in a row mean that the fault is here.
const BROKEN_AFTER: u32 = 3;

/// A task that runs here.
#[derive(Debug, Clone)]
pub(crate) struct RunningTask {
    pub(crate) worker: WorkerId,
    pub(crate) lease: Digest,
    pub(crate) job_name: String,
    pub(crate) index: u64,
}

/// What all slots share.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) link: Link,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) supervisor: Supervisor,
    pub(crate) runtime_class: String,
    /// Memory that a task may ask for, bytes.
    pub(crate) memory_limit: u64,
    pub(crate) gate: watch::Sender<Decision>,
    pub(crate) running: Mutex<Vec<RunningTask>>,
    pub(crate) troubles: Troubles,
    /// Told when a result was stored.
    pub(crate) finished: Notify,
    pub(crate) load: Mutex<surge_platform::load::LoadMeter>,
}

impl Work {
    pub(crate) fn running(&self) -> MutexGuard<'_, Vec<RunningTask>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a decision and applies it to every worker at once.
    pub(crate) fn decide(&self, decision: Decision) {
        self.gate.send_replace(decision);
        // After publishing: a worker that starts meanwhile reads the new share under this lock.
        self.apply(&self.running());
    }

    /// Gives every running task the share that its place has.
    fn apply(&self, running: &[RunningTask]) {
        let decision = self.gate.borrow();
        for (place, task) in running.iter().enumerate() {
            self.supervisor.set_share(task.worker, share(&decision, place));
        }
    }

    /// Ends the newest tasks, so that at most `room` stay in memory. They are given back.
    pub(crate) fn shed(&self, room: u32) {
        for task in self.running().iter().skip(room as usize) {
            tracing::info!(lease = %task.lease, "A task goes: others need the memory");
            self.supervisor.kill(task.worker);
        }
    }

    fn state(&self, lease: Digest) -> LeaseState {
        let place = self.running().iter().position(|task| task.lease == lease);
        match place.map(|place| share(&self.gate.borrow(), place)) {
            Some(share) if share > 0.0 => LeaseState::Running,
            _ => LeaseState::Paused,
        }
    }
}

/// The share of the task in this place: the oldest come first, and those beyond the budget's workers are held.
fn share(decision: &Decision, place: usize) -> f32 {
    match decision {
        Decision::Run(budget) if place < budget.workers as usize => budget.share,
        Decision::Run(_) | Decision::Hold(_) => 0.0,
    }
}

/// Works until the engine stops. Slot `number` works while the budget has more than `number` workers.
pub(crate) async fn slot(work: Arc<Work>, number: u32) {
    let mut failures = 0;
    let mut host_failures = 0;
    loop {
        open(&work, number).await;
        let lease = tokio::select! {
            reply = ask(&work) => reply,
            () = closed(&work, number) => continue,
        };
        match lease {
            Ok(LeaseReply::Lease(lease)) => {
                failures = 0;
                work.troubles.clear(Part::Line);
                host_failures = if perform(&work, *lease).await { 0 } else { host_failures + 1 };
                if host_failures >= BROKEN_AFTER {
                    sleep(Duration::from_secs(60)).await;
                }
            }
            Ok(LeaseReply::Nothing { retry_after_seconds }) => {
                failures = 0;
                let pause = Duration::from_secs(u64::from(retry_after_seconds.clamp(1, 600)));
                work.troubles.set(Part::Line, no_work(unix_now() + pause.as_secs()));
                rest(&work, number, pause).await;
            }
            Err(error) => {
                failures += 1;
                let pause = backoff(failures);
                if work.troubles.set(Part::Line, of_link(&error, unix_now() + pause.as_secs())) {
                    tracing::warn!(%error, retry = ?pause, "Can't get work");
                }
                rest(&work, number, pause).await;
            }
        }
    }
}

/// Doubles from one second to a minute, with up to a quarter more, so that many nodes do not return at once.
pub(crate) fn backoff(failures: u32) -> Duration {
    let base = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(Duration::from_secs(60));
    let mut random = [0];
    // Without randomness there is no jitter, which is no harm.
    let _ = getrandom::fill(&mut random);
    base + base / 4 * u32::from(random[0]) / 255
}

fn is_open(decision: &Decision, number: u32) -> bool {
    matches!(decision, Decision::Run(budget) if number < budget.workers && budget.new_work)
}

/// Waits until the gate lets this slot work.
async fn open(work: &Work, number: u32) {
    let mut gate = work.gate.subscribe();
    // The sender lives in `work`, so that this never fails.
    let _ = gate.wait_for(|decision| is_open(decision, number)).await;
}

/// Waits until the gate does not let this slot work.
async fn closed(work: &Work, number: u32) {
    let mut gate = work.gate.subscribe();
    let _ = gate.wait_for(|decision| !is_open(decision, number)).await;
}

async fn rest(work: &Work, number: u32, pause: Duration) {
    tokio::select! {
        () = sleep(pause) => {}
        () = closed(work, number) => {}
    }
}

async fn ask(work: &Work) -> Result<LeaseReply, LinkError> {
    let load = work.load.lock().unwrap_or_else(PoisonError::into_inner).read();
    let request = LeaseRequest {
        free_memory_bytes: work.memory_limit.min(load.available_bytes),
        load_percent: load.cpu_percent,
        held: work.blobs.held(),
        runtime_class: work.runtime_class.clone(),
        wait_seconds: LONG_POLL_SECONDS,
    };
    work.link.lease(&request).await
}

/// Runs a leased task to its end. False when this host failed at it.
async fn perform(work: &Arc<Work>, lease: Lease) -> bool {
    let task = match prepare(work, &lease.spec).await {
        Ok(task) => task,
        Err(error) => {
            if work.troubles.set(part_of(&error), of_link(&error, unix_now())) {
                tracing::warn!(%error, lease = %lease.lease, "Can't get what a task needs");
            }
            give_back(work, lease.lease, Outcome::Host, Code::word("input")).await;
            return error.passing();
        }
    };
    let Some(task) = task else {
        give_back(work, lease.lease, Outcome::Invalid, Code::word("task")).await;
        return true;
    };
    work.troubles.clear(Part::Disk);
    tracing::info!(job = %lease.job_name, index = lease.index, "Task started");
    let finished = run(work, &lease, task).await;
    {
        let mut running = work.running();
        running.retain(|task| task.lease != lease.lease);
        work.apply(&running);
    }
    let Some(finished) = finished else { return true };
    tracing::info!(
        job = %lease.job_name, index = lease.index, outcome = finished.outcome.name(), code = %finished.code,
        cpu_ms = finished.cpu_ms, "Task ended"
    );
    settle(work, &lease, finished).await
}

fn part_of(error: &LinkError) -> Part {
    match error {
        LinkError::Blob(error) if error.disk_full() => Part::Disk,
        _ => Part::Line,
    }
}

/// Fetches and verifies what the task needs. `None` when the task itself is not one that this node runs.
async fn prepare(work: &Work, spec: &TaskSpec) -> Result<Option<Task>, LinkError> {
    let fits = spec.limits.memory_bytes <= work.memory_limit;
    if !fits || !spec.data.iter().all(|set| valid_data_name(&set.name)) {
        return Ok(None);
    }
    let module = bytes(work, spec.module).await?;
    let stdin = bytes(work, spec.stdin).await?;
    let mut data = Vec::new();
    for set in &spec.data {
        let blob = BlobRef { digest: set.digest, size: set.size };
        work.link.fetch(blob, &work.blobs).await?;
        let file = work.blobs.get(blob).ok_or(BlobError::Size { digest: set.digest, expected: set.size, actual: 0 })?;
        data.push((set.name.clone(), Arc::new(file)));
    }
    Ok(Some(Task {
        args: spec.args.clone(),
        module: module.into(),
        stdin: stdin.into(),
        data,
        limits: spec.limits,
        meter: spec.meter,
        seed: spec.seed,
        checkpoints: None,
    }))
}

async fn bytes(work: &Work, blob: BlobRef) -> Result<Vec<u8>, LinkError> {
    work.link.fetch(blob, &work.blobs).await?;
    match work.blobs.read(blob.digest) {
        Ok(bytes) => Ok(bytes),
        Err(error) => {
            // Rotten on this disk: the next try fetches it anew.
            work.blobs.remove(blob.digest);
            Err(error.into())
        }
    }
}

/// Runs the worker and keeps the lease alive meanwhile. `None` when the supervisor stopped first.
async fn run(work: &Arc<Work>, lease: &Lease, task: Task) -> Option<Finished> {
    let (sender, mut end) = oneshot::channel();
    let worker = {
        let mut running = work.running();
        let share = share(&work.gate.borrow(), running.len());
        let worker = work.supervisor.run_then(task, share, move |finished| {
            // The receiver is gone only when the engine stops.
            let _ = sender.send(finished);
        });
        running.push(RunningTask { worker, lease: lease.lease, job_name: lease.job_name.clone(), index: lease.index });
        worker
    };
    let mut beat = heartbeat_after(lease.expires_in_seconds);
    loop {
        tokio::select! {
            finished = &mut end => return finished.ok(),
            () = sleep(beat) => {}
        }
        match work.link.heartbeat(lease.lease, work.state(lease.lease)).await {
            Ok(reply) if reply.stop => work.supervisor.kill(worker),
            Ok(reply) => beat = heartbeat_after(reply.expires_in_seconds),
            Err(error) if error.passing() => beat = Duration::from_secs(5),
            Err(_) => work.supervisor.kill(worker),
        }
    }
}

/// Three beats in a lease's life.
fn heartbeat_after(expires_in_seconds: u64) -> Duration {
    Duration::from_secs((expires_in_seconds / 3).clamp(1, 300))
}

/// Keeps a result that may vote, gives back what this host failed at. False when the host failed.
async fn settle(work: &Arc<Work>, lease: &Lease, finished: Finished) -> bool {
    if !finished.outcome.votes(&finished.code) {
        let here = finished.outcome == Outcome::Host && finished.code != Code::word("killed");
        if here {
            let reason = worker_broken(&finished.detail, unix_now());
            if work.troubles.set(Part::Worker, reason) {
                tracing::warn!(detail = %finished.detail, code = %finished.code, "A worker failed");
            }
        }
        give_back(work, lease.lease, finished.outcome, finished.code).await;
        return !here;
    }
    work.troubles.clear(Part::Worker);
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
    };
    let signature = work.link.device().sign(&result.message(), &work.link.network().domain());
    keep(work, &SignedResult { result, signature }, &finished.output).await;
    work.finished.notify_one();
    true
}

/// Stores a result, waiting for the disk if it is full: work that was done is not thrown away.
async fn keep(work: &Work, signed: &SignedResult, output: &[u8]) {
    loop {
        let problem = match work.blobs.put(output) {
            Err(error) => error.to_string(),
            Ok(_) => match work.store.finish(signed, unix_now()) {
                Ok(()) => break,
                Err(error) => error.to_string(),
            },
        };
        if work.troubles.set(Part::Disk, disk_full(&problem)) {
            tracing::warn!(problem, "Can't store a finished result; trying again");
        }
        sleep(Duration::from_secs(5)).await;
    }
    work.troubles.clear(Part::Disk);
}

async fn give_back(work: &Work, lease: Digest, outcome: Outcome, code: Code) {
    let why = ReturnLease { outcome: Some(outcome), code: Some(code) };
    if let Err(error) = work.link.give_back(lease, &why).await {
        // The lease ends by itself.
        tracing::debug!(%error, %lease, "Could not give a task back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_a_minute() {
        assert!(backoff(1) <= Duration::from_millis(1_250));
        for failures in 7..100 {
            assert!((60..=75).contains(&backoff(failures).as_secs()), "{failures}");
        }
    }
}
