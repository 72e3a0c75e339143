//! Giving out tasks: waiting for one, heartbeats, giving back.

use std::sync::Arc;

use surge_protocol::api::{
    Heartbeat, HeartbeatReply, Lease, LeaseId, LeaseReply, LeaseRequest, MAX_WAIT_SECONDS, ReturnLease, SubmitJob,
    lease_id,
};
use surge_protocol::split::split;
use surge_protocol::task::TaskSpec;
use surge_protocol::{Address, Code as OutcomeCode};

use crate::board::{Ask, Given, Grant};
use crate::clock::Millis;
use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};
use crate::store::{OpenLease, Opened, Returned};

/// Blobs that a request may say it holds.
const MOST_HELD: usize = 10_000;

/// What came of a try to answer a request for work.
enum Tried {
    Lease(Box<Lease>),
    NotNow,
    /// Its lease is being stored for an earlier request with the same id.
    Storing,
    /// No task will come of this request.
    Never,
}

impl Coordinator {
    /// A task for `node`, as soon as there is one, within the time it is willing to wait.
    ///
    /// # Errors
    /// `not_registered`, `wrong_runtime_class`, `bad_request`.
    pub async fn lease(self: &Arc<Self>, node: Address, request: LeaseRequest) -> Result<LeaseReply> {
        self.admit(node, &request)?;
        let wait = Millis::from(request.wait_seconds.min(MAX_WAIT_SECONDS)) * 1_000;
        let until = self.now().saturating_add(wait);
        let class = request.runtime_class;
        let held = request.held.into_iter().collect();
        let ask = Ask { free_memory: request.free_memory_bytes, load_percent: request.load_percent, held };
        let lease = lease_id(node, request.request);
        let _asking = Asking::new(self, node, &ask);
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            let tried = self.try_lease(lease, node, &ask, &class).await?;
            match tried {
                Tried::Lease(lease) => return Ok(LeaseReply::Lease(lease)),
                Tried::Never => break,
                Tried::NotNow | Tried::Storing => {}
            }
            let over = async {
                match tried {
                    // Its end comes soon, and is a change.
                    Tried::Storing => std::future::pending().await,
                    _ => self.world.clock.sleep_until(until).await,
                }
            };
            tokio::select! {
                // The sender lives in `self`.
                _ = changes.changed() => {}
                () = over => break,
                () = self.stopped() => break,
            }
        }
        Ok(LeaseReply::Nothing { retry_after_seconds: 1 })
    }

    fn admit(&self, node: Address, request: &LeaseRequest) -> Result<()> {
        if self.board().payout(node).is_none() {
            return Err(Error::new(Code::NotRegistered, "this node has no payout: register it first"));
        }
        if request.held.len() > MOST_HELD {
            return Err(Error::new(Code::BadRequest, format!("at most {MOST_HELD} held blobs can be named")));
        }
        let ours = self.world.replay.runtime_class();
        if request.runtime_class == ours {
            return Ok(());
        }
        let message = format!(
            "this network compares results of the runtime class {ours}, this worker is {}: install the version that the network uses",
            request.runtime_class.chars().filter(|c| !c.is_control()).take(100).collect::<String>()
        );
        Err(Error::new(Code::WrongRuntimeClass, message))
    }

    async fn try_lease(self: &Arc<Self>, lease: LeaseId, node: Address, ask: &Ask, class: &str) -> Result<Tried> {
        let now = self.now();
        let (given, payout) = {
            let mut board = self.board();
            (board.give(lease, node, ask, now), board.payout(node).unwrap_or_default())
        };
        match given {
            Given::New(grant) => {
                let (task, runtime_class) = (grant.task, class.to_owned());
                let row = OpenLease { lease, task, node, payout, runtime_class, issued_at: now };
                self.finish(move |this| this.open(row, grant)).await
            }
            Given::Again { grant, expires_at } => match self.store.lease(lease, node).await {
                Ok(held) => {
                    let term = expires_at.saturating_sub(now);
                    Ok(Tried::Lease(Box::new(self.describe(lease, &grant, held.checkpoints, term))))
                }
                Err(error) if error.code == Code::UnknownLease => Ok(Tried::Storing),
                Err(error) => Err(error),
            },
            Given::NotNow => Ok(Tried::NotNow),
            Given::Never => Ok(Tried::Never),
        }
    }

    /// Stores a lease before its node learns of it.
    async fn open(self: Arc<Self>, row: OpenLease, grant: Grant) -> Result<Tried> {
        let (lease, node, term) = (row.lease, row.node, self.rules.lease);
        let opened = self.store.open_lease(row).await;
        let (declined, awaited) = {
            let board = self.board();
            (board.has_declined(lease, node, self.now()), board.is_awaited(lease))
        };
        let tried = match opened {
            Ok(Opened::New { checkpoints }) if !declined => {
                tracing::debug!(%lease, task = %grant.task, %node, "Lease given");
                Ok(Tried::Lease(Box::new(self.describe(lease, &grant, checkpoints, term))))
            }
            // Given back while it was being stored: whoever gave it back may have been told that there is no such lease.
            Ok(Opened::New { .. }) => self.store.end_leases(vec![lease]).await.map(|()| Tried::Never),
            Ok(Opened::UsedBefore) => Ok(Tried::Never),
            Err(error) if error.code == Code::TaskDecided => Ok(Tried::NotNow),
            Err(error) => Err(error),
        };
        if !matches!(tried, Ok(Tried::Lease(_))) {
            self.board().end(lease, self.now());
        }
        if awaited || matches!(tried, Ok(Tried::Never)) {
            self.changed();
        }
        tried
    }

    fn describe(&self, lease: LeaseId, grant: &Grant, checkpoints: bool, term: Millis) -> Lease {
        Lease {
            lease,
            task: grant.task,
            job: grant.job,
            job_name: grant.order.name.clone(),
            index: grant.index,
            spec: spec(&grant.order, grant.index),
            net: split(grant.order.price, self.manifest.network.fee_bps).net,
            expires_in_seconds: term / 1_000,
            deadline_in_seconds: (grant.order.deadline.saturating_mul(1_000)).saturating_sub(self.now()) / 1_000,
            checkpoints,
        }
    }

    /// Extends a lease, or tells its node to stop. It touches memory only.
    #[must_use]
    pub fn heartbeat(&self, node: Address, lease: LeaseId, beat: &Heartbeat) -> HeartbeatReply {
        let now = self.now();
        match self.board().beat(lease, node, beat.state, now) {
            Some(until) => HeartbeatReply { expires_in_seconds: until.saturating_sub(now) / 1_000, stop: false },
            None => HeartbeatReply { expires_in_seconds: 0, stop: true },
        }
    }

    /// Takes a task back. With an outcome it counts as a failure of the host. A lease that is not there yet is given to
    /// nobody for the next minute: its node hung up before it heard of it.
    ///
    /// # Errors
    /// `bad_request`; `unknown_lease`, also where it is not there yet; `not_yours`.
    pub async fn give_back(self: &Arc<Self>, node: Address, lease: LeaseId, why: ReturnLease) -> Result<()> {
        let code = why.code.unwrap_or_else(|| OutcomeCode::word("returned"));
        let failure = why.outcome.map(|outcome| (outcome, code));
        if let Some((outcome, code)) = &failure
            && (!outcome.can_have(code) || outcome.votes(code))
        {
            let message = format!("no task is given back with the outcome {} and the code {code}", outcome.name());
            return Err(Error::new(Code::BadRequest, message));
        }
        self.finish(move |this| async move {
            let now = this.now();
            // Before the store is asked, so that a lease that is being stored meanwhile ends, too.
            this.board().declines(lease, node, now);
            let returned = this.store.give_back(lease, node, failure, now, this.rules.failures).await?;
            this.ended(lease, node, &returned, now);
            Ok(())
        })
        .await
    }

    /// Makes the board follow a lease that ended without a vote.
    pub(crate) fn ended(&self, lease: LeaseId, node: Address, returned: &Returned, now: Millis) {
        let mut board = self.board();
        board.end(lease, now);
        if returned.failure {
            board.failed(returned.task, node, returned.module, now);
            tracing::info!(task = %returned.task, over = returned.task_failed, "A node failed at a task");
        }
        if returned.task_failed {
            board.close(returned.task, now);
        }
        drop(board);
        self.changed();
    }
}

/// The task at `index` of an order. Every task draws other random numbers, every replica of a task the same.
///
/// # Panics
/// When the order has no such task.
#[must_use]
pub fn spec(order: &SubmitJob, index: u64) -> TaskSpec {
    let at = usize::try_from(index).expect("an index into a list that is in memory");
    TaskSpec {
        module: order.module,
        args: order.args.clone(),
        stdin: order.inputs[at],
        data: order.data.clone(),
        limits: order.limits,
        meter: order.meter,
        seed: order.seed.wrapping_add(index),
    }
}

/// Counts a node as waiting for work until it is answered or goes away.
struct Asking<'a>(&'a Coordinator, Address);

impl<'a> Asking<'a> {
    fn new(coordinator: &'a Coordinator, node: Address, ask: &Ask) -> Self {
        coordinator.board().asks(node, ask, coordinator.now());
        Self(coordinator, node)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.board().asked(self.1, self.0.now());
    }
}
