//! Giving out tasks: waiting for one, heartbeats, giving back.

use std::sync::Arc;

use surge_protocol::Address;
use surge_protocol::api::{
    Heartbeat, HeartbeatReply, Lease, LeaseId, LeaseReply, LeaseRequest, MAX_WAIT_SECONDS, ReturnLease, SubmitJob,
};
use surge_protocol::split::split;
use surge_protocol::task::TaskSpec;
use surge_protocol::{Code as OutcomeCode, Digest};

use crate::board::{Ask, Grant};
use crate::clock::Millis;
use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};
use crate::store::{OpenLease, Returned};

/// Blobs that a request may say it holds.
const MOST_HELD: usize = 10_000;

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
        let ask = Arc::new(ask);
        let _asking = Asking::new(self, node, &ask);
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            if let Some(lease) = self.try_lease(node, ask.clone(), class.clone()).await? {
                return Ok(LeaseReply::Lease(Box::new(lease)));
            }
            tokio::select! {
                // The sender lives in `self`.
                _ = changes.changed() => {}
                () = self.world.clock.sleep_until(until) => break,
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

    async fn try_lease(self: &Arc<Self>, node: Address, ask: Arc<Ask>, class: String) -> Result<Option<Lease>> {
        let lease = Digest(self.random()?);
        let now = self.now();
        let (grant, payout) = {
            let mut board = self.board();
            let Some(grant) = board.give(lease, node, &ask, now) else { return Ok(None) };
            (grant, board.payout(node).unwrap_or_default())
        };
        self.finish(move |this| async move {
            let row = OpenLease { lease, task: grant.task, node, payout, runtime_class: class, issued_at: now };
            match this.store.open_lease(row).await {
                Ok(checkpoints) => {
                    tracing::debug!(%lease, task = %grant.task, %node, "Lease given");
                    Ok(Some(this.describe(lease, &grant, checkpoints)))
                }
                Err(error) => {
                    this.board().end(lease, now);
                    if error.code == Code::TaskDecided { Ok(None) } else { Err(error) }
                }
            }
        })
        .await
    }

    fn describe(&self, lease: LeaseId, grant: &Grant, checkpoints: bool) -> Lease {
        Lease {
            lease,
            task: grant.task,
            job: grant.job,
            job_name: grant.order.name.clone(),
            index: grant.index,
            spec: spec(&grant.order, grant.index),
            net: split(grant.order.price, self.manifest.network.fee_bps).net,
            expires_in_seconds: self.rules.lease / 1_000,
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

    /// Takes a task back. With an outcome it counts as a failure of the host.
    ///
    /// # Errors
    /// `bad_request`, `unknown_lease`, `not_yours`.
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
