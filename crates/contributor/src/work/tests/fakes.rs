//! A coordinator, workers and a clock that do what a test says, and note what they were asked.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::BoxFuture;
use surge_protocol::api::{
    Account, HeartbeatReply, Lease, LeaseId, LeaseReply, LeaseRequest, LeaseState, RequestId, ReturnLease, SignedResult,
};
use surge_protocol::epoch::ResultBody;
use surge_protocol::sign::Signed;
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Code, Digest, Outcome};
use surge_supervisor::{Budget, Finished, Task, WorkerId, WorkerStatus};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::blobs::{BlobError, Blobs};
use crate::http::Silence;
use crate::link::LinkError;
use crate::work::outside::{Clock, Coordinator, Then, Workers};

/// How long an answer is on its way.
pub(super) const TRAVEL: Duration = Duration::from_millis(20);

/// Reached by a test and by what it tests.
#[derive(Debug, Default, Clone)]
pub(super) struct FakeCoordinator(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Tasks that wait for somebody, with the leases under which they will be given.
    pub(super) waiting: VecDeque<Lease>,
    /// Leases that are neither given back nor delivered.
    pub(super) live: BTreeSet<LeaseId>,
    /// What was asked, in order.
    pub(super) calls: Vec<String>,
    /// The requests for work.
    pub(super) asked: Vec<LeaseRequest>,
    pub(super) blobs: HashMap<Digest, Vec<u8>>,
    pub(super) delivered: Vec<LeaseId>,
    /// What the next calls of this name fail with; the last holds on.
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
    given: u8,
    known: HashMap<LeaseId, Lease>,
    /// What each request got, by the id of its lease: the lease itself keeps the id that the test knows.
    granted: HashMap<LeaseId, LeaseId>,
    /// Ids of leases that were given back before they were given.
    declined: BTreeSet<LeaseId>,
    pub(super) signs_badly: bool,
    /// Heartbeats, by the machine's whole time.
    pub(super) beats: Vec<(LeaseId, LeaseState)>,
}

/// What may happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Nobody can be asked.
    Silent,
    /// It is done, but the answer does not arrive.
    Lost,
    Refused(&'static str),
    /// The blob can't be written here.
    LocalDisk,
    Panic,
}

fn silence() -> Silence {
    Silence { code: "coordinator_unreachable", message: "nobody answers".into() }
}

fn silent() -> LinkError {
    LinkError::Unreachable(silence())
}

impl State {
    /// What the request whose lease has this id gets now.
    fn grant(&mut self, id: LeaseId) -> Option<Lease> {
        if let Some(granted) = self.granted.get(&id) {
            return self.live.contains(granted).then(|| self.known[granted].clone());
        }
        if self.declined.contains(&id) {
            return None;
        }
        let lease = self.waiting.pop_front()?;
        self.live.insert(lease.lease);
        self.known.insert(lease.lease, lease.clone());
        self.granted.insert(id, lease.lease);
        Some(lease)
    }
}

/// A request for work that somebody waits for; dropped, it is over.
struct Open(FakeCoordinator);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.call("lease ends");
    }
}

impl FakeCoordinator {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub(super) fn changed(&self) {
        self.0.changed.notify_waiters();
    }

    fn call(&self, what: impl Into<String>) {
        self.state().calls.push(what.into());
    }

    /// From now on calls of this name end so, one after the other, and then as the last.
    pub(super) fn fail(&self, call: &'static str, faults: &[Fault]) {
        self.state().faults.insert(call, faults.iter().copied().collect());
    }

    /// A task that waits for somebody.
    pub(super) fn offer(&self) -> Lease {
        let mut state = self.state();
        state.given += 1;
        let mut lease = crate::store::tests::a_lease(state.given);
        let bytes = vec![state.given; 5];
        let blob = BlobRef { digest: Digest::of(&bytes), size: 5 };
        (lease.spec.module, lease.spec.stdin) = (blob, blob);
        state.blobs.insert(blob.digest, bytes);
        state.waiting.push_back(lease.clone());
        drop(state);
        self.changed();
        lease
    }

    async fn met(&self, call: &'static str) -> Result<(), LinkError> {
        let fault = {
            let mut state = self.state();
            match state.faults.get_mut(call) {
                Some(faults) if faults.len() > 1 => faults.pop_front(),
                Some(faults) => faults.front().copied(),
                None => None,
            }
        };
        sleep(TRAVEL).await;
        match fault.unwrap_or(Fault::None) {
            Fault::None => Ok(()),
            Fault::Silent => Err(silent()),
            Fault::Lost => Err(LinkError::Unanswered(silence())),
            Fault::Refused(code) => Err(LinkError::Refused { status: 409, code: code.into(), message: "no".into() }),
            Fault::LocalDisk => {
                let source = std::io::ErrorKind::PermissionDenied.into();
                Err(LinkError::Blob(BlobError::Io { path: "blobs".into(), source }))
            }
            Fault::Panic => panic!("the fake was asked to panic"),
        }
    }

    /// The position of the first call that begins so.
    pub(super) fn position(&self, call: &str) -> Option<usize> {
        self.state().calls.iter().position(|known| known.starts_with(call))
    }

    /// Waits for the first call that begins so, while time stands still.
    pub(super) async fn comes(&self, call: &str) {
        while self.position(call).is_none() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn count(&self, call: &str) -> usize {
        self.state().calls.iter().filter(|known| known.starts_with(call)).count()
    }
}

impl Coordinator for FakeCoordinator {
    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<LeaseReply, LinkError>> {
        Box::pin(async move {
            self.call("lease");
            self.state().asked.push(request.clone());
            let _open = Open(self.clone());
            self.met("lease").await?;
            let id = self.lease_id(request.request);
            let given = async {
                loop {
                    let changed = self.0.changed.notified();
                    if let Some(lease) = self.state().grant(id) {
                        return lease;
                    }
                    changed.await;
                }
            };
            match timeout(Duration::from_secs(u64::from(request.wait_seconds)), given).await {
                Ok(lease) => {
                    self.call(format!("granted {}", lease.lease));
                    self.met("answer").await?;
                    self.call(format!("given {}", lease.lease));
                    Ok(LeaseReply::Lease(Box::new(lease)))
                }
                Err(_) => Ok(LeaseReply::Nothing { retry_after_seconds: 1 }),
            }
        })
    }

    fn lease_id(&self, request: RequestId) -> LeaseId {
        surge_protocol::api::lease_id(Address::ZERO, request)
    }

    fn heartbeat(&self, lease: LeaseId, state: LeaseState) -> BoxFuture<'_, Result<HeartbeatReply, LinkError>> {
        Box::pin(async move {
            self.call(format!("heartbeat {lease}"));
            self.state().beats.push((lease, state));
            self.met("heartbeat").await?;
            let stop = !self.state().live.contains(&lease);
            Ok(HeartbeatReply { expires_in_seconds: 60, stop })
        })
    }

    fn give_back(&self, lease: LeaseId, _: ReturnLease) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            self.call(format!("give back {lease}"));
            self.met("give back").await?;
            let granted = self.state().granted.get(&lease).copied();
            self.state().declined.insert(lease);
            let lease = granted.unwrap_or(lease);
            if self.state().live.remove(&lease) {
                // It is for whoever asks, under another lease.
                let mut again = self.state().known[&lease].clone();
                again.lease = Digest::of(&lease.0);
                self.state().waiting.push_back(again);
                self.changed();
            }
            Ok(())
        })
    }

    fn fetch(&self, blob: BlobRef, cache: Blobs) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            self.call("fetch");
            self.met("fetch").await?;
            let bytes = self.state().blobs.get(&blob.digest).cloned().unwrap_or_default();
            cache.put(&bytes)?;
            Ok(())
        })
    }

    fn put_blob(&self, digest: Digest, _: Vec<u8>) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            self.call(format!("put {digest}"));
            self.met("put").await
        })
    }

    fn deliver(&self, signed: SignedResult) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            let lease = signed.result.lease;
            self.call(format!("deliver {lease}"));
            self.met("deliver").await?;
            let mut state = self.state();
            state.live.remove(&lease);
            state.delivered.push(lease);
            Ok(())
        })
    }

    fn account(&self, _: Address) -> BoxFuture<'_, Result<Account, LinkError>> {
        Box::pin(async { Err(silent()) })
    }

    fn sign(&self, result: ResultBody) -> SignedResult {
        assert!(!self.state().signs_badly, "the fake was asked to panic");
        SignedResult { result, signature: Signed([1; 65]) }
    }
}

/// Workers that end when a test says so, or when they are killed.
#[derive(Debug, Default, Clone)]
pub(super) struct FakeWorkers(Arc<Mutex<Crew>>);

#[derive(Default)]
pub(super) struct Crew {
    started: u64,
    running: BTreeMap<WorkerId, (Task, Then)>,
    pub(super) budget: Option<Budget>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("running", &self.running.len()).finish_non_exhaustive()
    }
}

pub(super) fn finished(outcome: Outcome, code: Code, output: &[u8]) -> Finished {
    Finished {
        outcome,
        digest: surge_protocol::outcome::result_digest(outcome, &code, output),
        code,
        detail: String::new(),
        output: output.to_vec(),
        log: Vec::new(),
        fuel: 0,
        cpu_ms: 5,
        wall_ms: 5,
        peak_memory_bytes: 0,
        output_bytes: output.len() as u64,
        resumed: false,
        runtime_class: "test".into(),
        started_after: Duration::ZERO,
    }
}

impl FakeWorkers {
    pub(super) fn crew(&self) -> MutexGuard<'_, Crew> {
        self.0.lock().unwrap()
    }

    pub(super) fn count(&self) -> usize {
        self.crew().running.len()
    }

    /// The worker that began first ends by itself.
    pub(super) fn finish_first(&self, output: &[u8]) {
        let (_, (_, then)) = self.crew().running.pop_first().expect("a worker");
        end(then, finished(Outcome::Done, Code::Status(0), output));
    }
}

/// On a thread of its own, as the real ones do; virtual time waits for it.
fn end(then: Then, finished: Finished) {
    drop(tokio::task::spawn_blocking(move || then(finished)));
}

impl Workers for FakeWorkers {
    fn set_budget(&self, budget: Budget) {
        self.crew().budget = Some(budget);
    }

    fn run(&self, task: Task, _: u64, then: Then) -> WorkerId {
        let mut crew = self.crew();
        crew.started += 1;
        let id = WorkerId::from_number(crew.started);
        crew.running.insert(id, (task, then));
        id
    }

    fn kill(&self, worker: WorkerId) {
        if let Some((_, then)) = self.crew().running.remove(&worker) {
            end(then, finished(Outcome::Host, Code::word("killed"), &[]));
        }
    }

    fn workers(&self) -> Vec<WorkerStatus> {
        Vec::new()
    }
}

/// Virtual time, and nights that pass at once.
#[derive(Debug, Clone)]
pub(super) struct FakeClock {
    began: Instant,
    slept: watch::Sender<Duration>,
}

impl FakeClock {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), slept: watch::Sender::new(Duration::ZERO) }
    }

    /// The machine sleeps.
    pub(super) fn sleep(&self, time: Duration) {
        self.slept.send_modify(|slept| *slept += time);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        self.began.elapsed() + *self.slept.borrow()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut slept = self.slept.subscribe();
            while self.now() < at {
                tokio::select! {
                    () = sleep(at - self.now()) => {}
                    _ = slept.changed() => {}
                }
            }
        })
    }
}
