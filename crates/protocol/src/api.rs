//! The bodies of the coordinator's HTTP API, version 1. JSON; amounts are base units as decimal strings.
//!
//! | call | who | request → reply |
//! | --- | --- | --- |
//! | `GET /v1/network` | anybody | → [`crate::network::SignedNetwork`] |
//! | `GET /v1/status` | anybody | → [`NetworkStatus`] |
//! | `POST /v1/sessions` | anybody | [`OpenSession`] → [`SessionToken`], the bearer token of the calls below |
//! | `POST /v1/nodes` | node | [`Registration`] → `{}` |
//! | `POST /v1/leases` | node | [`LeaseRequest`] → [`LeaseReply`] (long poll); idempotent by its `request` |
//! | `POST /v1/leases/{lease}/heartbeat` | node | [`Heartbeat`] → [`HeartbeatReply`] |
//! | `POST /v1/leases/{lease}/return` | node | [`ReturnLease`] → `{}`; idempotent. Before the lease is given: it never is |
//! | `POST /v1/leases/{lease}/result` | node | [`SignedResult`] → [`ResultReply`]; idempotent |
//! | `PUT /v1/blobs/{digest}` | node, requester | bytes → `{}`; idempotent |
//! | `GET /v1/blobs/{digest}` | anybody | → bytes, ranges allowed |
//! | `POST /v1/jobs` | requester | [`SubmitJob`] → [`JobSubmitted`]; idempotent |
//! | `GET /v1/jobs/{job}` | anybody | → [`JobStatus`] |
//! | `GET /v1/jobs/{job}/results` | anybody | → `Vec<`[`TaskResultRow`]`>`, paid tasks only |
//! | `GET /v1/accounts/{address}` | anybody | → [`Account`] |
//! | `GET /v1/accounts/{address}/receipts` | anybody | → `Vec<`[`crate::epoch::SignedReceipt`]`>` |
//! | `GET /v1/epochs/{n}` | anybody | → [`crate::epoch::EpochFile`], the exact bytes that were hashed |
//!
//! Every error is an [`ApiError`] with a stable code.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::epoch::{ConfirmedBy, ResultBody};
use crate::sign::Signed;
use crate::task::{BlobRef, DataSet, Limits, Meter, TaskSpec};
use crate::{Amount, Code, Digest, Outcome};

/// A job's id: the EIP-712 hash of its order.
pub type JobId = Digest;
/// A task's id: [`task_id`].
pub type TaskId = Digest;
/// A lease's id: [`lease_id`].
pub type LeaseId = Digest;
/// The id of a request for work: 32 random bytes that the node draws.
pub type RequestId = Digest;

/// The largest blob that a coordinator takes, bytes.
pub const MAX_BLOB: u64 = 256 << 20;
/// The longest time that `POST /v1/leases` may be asked to wait, seconds.
pub const MAX_WAIT_SECONDS: u32 = 55;

/// The id of the task at `index` of `job`.
#[must_use]
pub fn task_id(job: JobId, index: u64) -> TaskId {
    let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 task id v1");
    hasher.update(&job.0).update(&index.to_le_bytes());
    Digest(*hasher.finalize().as_bytes())
}

/// The id of the lease that `request` of `node` gets, so that a node can give back a lease whose grant it never heard of.
#[must_use]
pub fn lease_id(node: Address, request: RequestId) -> LeaseId {
    let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 lease id v1");
    hasher.update(node.as_slice()).update(&request.0);
    Digest(*hasher.finalize().as_bytes())
}

/// Proves possession of a key; the signature is over [`crate::sign::Session`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    pub who: Address,
    /// Unix seconds; at most five minutes from the coordinator's clock.
    pub issued_at: u64,
    pub signature: Signed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionToken {
    pub token: String,
    pub expires_in_seconds: u64,
}

/// A node announces itself, its payout account and what it is. Both signatures are over [`crate::sign::PayoutBinding`]: a
/// session alone, which may have been stolen, can't change who is paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub payout: Address,
    pub issued_at: u64,
    /// The payout key's.
    pub signature: Signed,
    /// The device key's.
    pub device_signature: Signed,
    pub cores: u32,
    pub memory_bytes: u64,
    /// `surge --version`.
    pub engine: String,
}

/// A free worker asks for work.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// A new one for each task that is asked for. A request that is repeated because its answer was lost has the same, and
    /// gets the same lease; when that lease is over, it gets nothing.
    pub request: RequestId,
    /// What a task's linear memory may take, bytes.
    pub free_memory_bytes: u64,
    /// Share of the machine that other programs use, percent of all cores.
    pub load_percent: f32,
    /// Blobs that the node holds already.
    pub held: Vec<Digest>,
    /// What the node's worker says of itself; only results of one class are compared.
    pub runtime_class: String,
    pub wait_seconds: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseReply {
    Lease(Box<Lease>),
    /// Nothing fits this node now.
    Nothing {
        retry_after_seconds: u32,
    },
}

/// A task for a node for a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lease {
    pub lease: LeaseId,
    pub task: TaskId,
    pub job: JobId,
    pub job_name: String,
    pub index: u64,
    pub spec: TaskSpec,
    /// What the node is credited when its result is accepted.
    pub net: Amount,
    /// The lease ends after this time unless a heartbeat extends it.
    pub expires_in_seconds: u64,
    /// After this time nothing is paid for the task.
    pub deadline_in_seconds: u64,
    /// Whether the task may go on from a checkpoint.
    pub checkpoints: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    Running,
    Paused,
    /// The node holds a finished result that it could not deliver yet.
    Delivering,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    pub state: LeaseState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeartbeatReply {
    pub expires_in_seconds: u64,
    /// The job was cancelled or the lease is over: stop the task.
    pub stop: bool,
}

/// A node gives a task back unfinished, or says that its host failed at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnLease {
    pub outcome: Option<Outcome>,
    pub code: Option<Code>,
}

/// A result and the device key's signature over [`ResultBody::message`]. Its output blob is uploaded first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedResult {
    pub result: ResultBody,
    pub signature: Signed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResultReply {
    /// The result is stored durably. It may still be judged.
    pub recorded: bool,
}

/// A job with its signed order. The signature is over [`crate::sign::Order`], built by [`SubmitJob::order`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitJob {
    /// Shown to contributors: what they compute.
    pub name: String,
    pub requester: Address,
    pub module: BlobRef,
    pub args: Vec<String>,
    pub data: Vec<DataSet>,
    pub limits: Limits,
    pub meter: Meter,
    pub seed: u64,
    /// Standard input of each task.
    pub inputs: Vec<BlobRef>,
    /// Price of one accepted execution.
    pub price: Amount,
    /// Executions that must agree; each is paid. 1 to 5.
    pub quorum: u8,
    /// Unix seconds after which nothing more is paid for.
    pub deadline: u64,
    pub nonce: u64,
    pub signature: Signed,
}

impl SubmitJob {
    /// The most that the job can cost: price × quorum × tasks. `None` when that overflows.
    #[must_use]
    pub fn budget(&self) -> Option<Amount> {
        self.price.checked_mul(u64::from(self.quorum))?.checked_mul(self.inputs.len() as u64)
    }

    /// BLAKE3 of the canonical JSON of what is run besides the module.
    fn program(&self) -> B256 {
        let parts = (&self.name, &self.args, &self.data, &self.limits, &self.meter, self.seed);
        let canonical = serde_json::to_vec(&parts).expect("an order has string keys only");
        B256::from(Digest::of(&canonical).0)
    }

    /// The message that the requester signs. `None` when the budget overflows.
    #[must_use]
    pub fn order(&self) -> Option<crate::sign::Order> {
        let inputs: Vec<_> = self.inputs.iter().map(|input| input.digest).collect();
        Some(crate::sign::Order {
            requester: self.requester,
            module: B256::from(self.module.digest.0),
            program: self.program(),
            inputs: crate::sign::inputs_digest(&inputs),
            tasks: inputs.len() as u64,
            price: alloy_primitives::U256::from(self.price.0),
            quorum: self.quorum,
            budget: alloy_primitives::U256::from(self.budget()?.0),
            deadline: self.deadline,
            nonce: self.nonce,
        })
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobSubmitted {
    pub job: JobId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Running,
    Done,
    /// Some tasks could not be validated before the deadline or failed everywhere; their price is not spent.
    Failed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobStatus {
    pub job: JobId,
    pub name: String,
    pub requester: Address,
    pub state: JobState,
    pub tasks: u64,
    pub waiting: u64,
    pub running: u64,
    pub validated: u64,
    pub failed: u64,
    /// Results that were found wrong.
    pub rejected: u64,
    pub price: Amount,
    pub budget: Amount,
    pub spent: Amount,
}

/// A validated task as its requester sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskResultRow {
    pub index: u64,
    pub task: TaskId,
    pub outcome: Outcome,
    pub code: Code,
    pub digest: Digest,
    pub output: BlobRef,
    pub confirmed_by: ConfirmedBy,
    pub nodes: Vec<Address>,
}

/// What the coordinator knows of an account, as contributor and as requester.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    pub address: Address,
    /// Results delivered and not yet judged, and what they would bring.
    pub awaiting_verdict: u64,
    pub awaiting_amount: Amount,
    pub accepted: u64,
    pub rejected: u64,
    /// All that the ledger ever credited.
    pub credited: Amount,
    /// All that the newest finalized epoch credits, with its proof; claim this.
    pub settled: Option<Settled>,
    /// As requester: paid into escrow, reserved by running jobs, spent.
    pub deposited: Amount,
    pub reserved: Amount,
    pub spent: Amount,
}

/// A cumulative credit in a finalized epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settled {
    pub epoch: u64,
    pub cumulative: Amount,
    pub proof: Vec<B256>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkStatus {
    pub name: String,
    pub nodes: u64,
    pub tasks_waiting: u64,
    pub tasks_running: u64,
    pub tasks_validated: u64,
    pub results_rejected: u64,
    /// The newest finalized epoch, 0 before the first, and its transactions.
    pub epoch: u64,
    pub epoch_propose_tx: Option<B256>,
    pub epoch_finalize_tx: Option<B256>,
    /// Receipts that no finalized epoch holds yet.
    pub receipts_unsettled: u64,
    /// Why the coordinator can't use its chain now, for people. Work goes on; settlement waits.
    #[serde(default)]
    pub chain_trouble: Option<String>,
}

/// Every error of the API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiError {
    /// A stable word, for programs.
    pub code: String,
    /// What happened and what to do, for people.
    pub message: String,
}
