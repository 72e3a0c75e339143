//! What the work loop needs of the world: a coordinator, workers, a clock. Tests put fakes in their place.

use std::fmt::Debug;
use std::time::Duration;

use futures::future::BoxFuture;
use surge_protocol::api::{
    Account, HeartbeatReply, LeaseId, LeaseReply, LeaseRequest, LeaseState, RequestId, ReturnLease, SignedResult,
    lease_id,
};
use surge_protocol::epoch::ResultBody;
use surge_protocol::task::BlobRef;
use surge_protocol::{Address, Digest};
use surge_supervisor::{Budget, Finished, Supervisor, Task, WorkerId, WorkerStatus};

use crate::blobs::Blobs;
use crate::link::{Link, LinkError};

/// Where tasks come from and results go. See [`Link`], which is the real one.
pub(crate) trait Coordinator: Debug + Send + Sync {
    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<LeaseReply, LinkError>>;
    /// The id of the lease that a request of this device gets.
    fn lease_id(&self, request: RequestId) -> LeaseId;
    fn heartbeat(&self, lease: LeaseId, state: LeaseState) -> BoxFuture<'_, Result<HeartbeatReply, LinkError>>;
    fn give_back(&self, lease: LeaseId, why: ReturnLease) -> BoxFuture<'_, Result<(), LinkError>>;
    fn fetch(&self, blob: BlobRef, cache: Blobs) -> BoxFuture<'_, Result<(), LinkError>>;
    fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), LinkError>>;
    fn deliver(&self, signed: SignedResult) -> BoxFuture<'_, Result<(), LinkError>>;
    fn account(&self, account: Address) -> BoxFuture<'_, Result<Account, LinkError>>;
    /// The result with this device's signature.
    fn sign(&self, result: ResultBody) -> SignedResult;
}

impl Coordinator for Link {
    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<LeaseReply, LinkError>> {
        Box::pin(async move { Self::lease(self, &request).await })
    }

    fn lease_id(&self, request: RequestId) -> LeaseId {
        lease_id(self.device().address(), request)
    }

    fn heartbeat(&self, lease: LeaseId, state: LeaseState) -> BoxFuture<'_, Result<HeartbeatReply, LinkError>> {
        Box::pin(Self::heartbeat(self, lease, state))
    }

    fn give_back(&self, lease: LeaseId, why: ReturnLease) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move { Self::give_back(self, lease, &why).await })
    }

    fn fetch(&self, blob: BlobRef, cache: Blobs) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(Self::fetch(self, blob, cache))
    }

    fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(Self::put_blob(self, digest, bytes))
    }

    fn deliver(&self, signed: SignedResult) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move { self.result(&signed).await.map(drop) })
    }

    fn account(&self, account: Address) -> BoxFuture<'_, Result<Account, LinkError>> {
        Box::pin(Self::account(self, account))
    }

    fn sign(&self, result: ResultBody) -> SignedResult {
        let signature = self.device().sign(&result.message(), &self.network().domain());
        SignedResult { result, signature }
    }
}

/// Is told how a worker ended, on a thread that may take its time.
pub(crate) type Then = Box<dyn FnOnce(Finished) + Send>;

/// What runs tasks. See [`Supervisor`], which is the real one. No call waits for anything.
pub(crate) trait Workers: Debug + Send + Sync {
    /// Shares the machine among the workers of the lowest ranks.
    fn set_budget(&self, budget: Budget);
    fn run(&self, task: Task, rank: u64, then: Then) -> WorkerId;
    fn kill(&self, worker: WorkerId);
    fn workers(&self) -> Vec<WorkerStatus>;
}

impl Workers for Supervisor {
    fn set_budget(&self, budget: Budget) {
        Self::set_budget(self, budget);
    }

    fn run(&self, task: Task, rank: u64, then: Then) -> WorkerId {
        self.run_then(task, rank, then)
    }

    fn kill(&self, worker: WorkerId) {
        Self::kill(self, worker);
    }

    fn workers(&self) -> Vec<WorkerStatus> {
        Self::workers(self)
    }
}

/// A clock that goes on while the machine sleeps, so that a night counts against a lease.
pub(crate) trait Clock: Debug + Send + Sync {
    /// Time since a moment before the engine's start.
    fn now(&self) -> Duration;
    /// Ends when the clock shows `at`; after a sleep in which that passed, at once.
    fn sleep_until(&self, at: Duration) -> BoxFuture<'_, ()>;
}
