//! Taking orders: what an order must be before its budget is reserved.
//!
//! Deliberately absent: cancelling, changing, quoting.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alloy::sol_types::SolStruct;
use surge_protocol::api::{JobId, JobStatus, JobSubmitted, MAX_BLOB, SubmitJob};
use surge_protocol::sign::Order;
use surge_protocol::task::{BlobRef, Limits, valid_data_name};
use surge_protocol::{Address, Amount, Digest};

use crate::chain::ChainError;
use crate::clock::is_past;
use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};
use crate::module;
use crate::session::wrong_signature;
use crate::store::Submission;

/// The first bytes of a WebAssembly module of version 1.
const WASM: &[u8] = b"\0asm\x01\0\0\0";
/// The most linear memory that a task may ask for, bytes: what a 32-bit module can address.
const MOST_MEMORY: u64 = 4 << 30;
const MOST_DATA_SETS: usize = 64;
const MOST_ARGS: usize = 256;
const MOST_ARG_BYTES: usize = 64 << 10;

impl Coordinator {
    /// Takes an order, reserves its budget and makes its tasks wait for nodes. Saying it twice has the effect of once.
    ///
    /// # Errors
    /// `not_yours`, `bad_order`, `wrong_signature`, `missing_blob`, `wrong_size`, `not_a_module`,
    /// `requester_leaving`, `insufficient_escrow`, `chain_unavailable`.
    pub async fn submit(self: &Arc<Self>, caller: Address, order: SubmitJob) -> Result<JobSubmitted> {
        if caller != order.requester {
            return Err(Error::new(
                Code::NotYours,
                "the session belongs to another account than the order's requester",
            ));
        }
        let (message, budget) = order
            .order()
            .zip(order.budget())
            .ok_or_else(|| bad("price × quorum × tasks is more than can exist: lower one of them"))?;
        order.signature.verify(&message, &self.domain, caller).map_err(|error| wrong_signature(&error))?;
        let job = self.job_id(&message);
        let known = self.store.job(job).await?.is_some();
        let reach = if known { Ok(()) } else { self.prepare(&order).await? };
        self.finish(move |this| async move { this.take(Submission { job, order, budget }, reach).await }).await
    }

    /// A job's id: the hash that its requester signed.
    #[must_use]
    pub fn job_id(&self, order: &Order) -> JobId {
        Digest(order.eip712_signing_hash(&self.domain).0)
    }

    /// Checks an order that is new, and looks up its escrow. Inside: whether the chain could be asked.
    async fn prepare(&self, order: &SubmitJob) -> Result<std::result::Result<(), ChainError>> {
        self.check_terms(order)?;
        self.check_blobs(order).await?;
        match self.world.chain.escrow(order.requester).await {
            Ok(escrow) if escrow.leaving => {
                let message = "this account asked to take its escrow out: no new orders until that is done";
                Err(Error::new(Code::RequesterLeaving, message))
            }
            Ok(escrow) => {
                self.store.follow_deposit(order.requester, escrow.deposited).await?;
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn take(
        self: Arc<Self>,
        submission: Submission,
        reach: std::result::Result<(), ChainError>,
    ) -> Result<JobSubmitted> {
        let job = submission.job;
        let order = Arc::new(submission.order.clone());
        let fresh = self.store.submit(submission).await.map_err(|error| explain(error, &reach))?;
        if fresh {
            self.board().add_job(job, &order, self.now());
            tracing::info!(%job, tasks = order.inputs.len(), name = %order.name, "Job accepted");
            self.changed();
        }
        Ok(JobSubmitted { job })
    }

    fn check_terms(&self, order: &SubmitJob) -> Result<()> {
        let now = self.now();
        let tasks = order.inputs.len();
        if !(1..=self.rules.most_tasks).contains(&tasks) {
            return Err(bad(format!("a job has 1 to {} tasks, this one has {tasks}: split it", self.rules.most_tasks)));
        }
        if !(1..=5).contains(&order.quorum) {
            return Err(bad(format!("the quorum is 1 to 5, not {}", order.quorum)));
        }
        if order.price.is_zero() || i128::try_from(order.budget().unwrap_or(Amount::ZERO).0).is_err() {
            return Err(bad(format!("a price of {} cannot be booked", order.price)));
        }
        if is_past(order.deadline, now) {
            return Err(bad("the deadline has passed: choose a later one"));
        }
        if !is_past(order.deadline, now.saturating_add(self.rules.longest_deadline)) {
            let hours = self.rules.longest_deadline / 3_600_000;
            return Err(bad(format!("the deadline is more than {hours} hours away: choose an earlier one")));
        }
        check_program(order)
    }

    async fn check_blobs(&self, order: &SubmitJob) -> Result<()> {
        let data = order.data.iter().map(|data| BlobRef { digest: data.digest, size: data.size });
        let named = std::iter::once(order.module).chain(data).chain(order.inputs.iter().copied());
        let mut seen = HashMap::new();
        for blob in named {
            if seen.insert(blob.digest, blob.size) == Some(blob.size) {
                continue;
            }
            match self.blobs.size(blob.digest).await? {
                Some(size) if size == blob.size => {}
                Some(size) => {
                    let message = format!("the blob {} has {size} bytes, the order says {}", blob.digest, blob.size);
                    return Err(Error::new(Code::WrongSize, message));
                }
                None => {
                    let message = format!("the blob {} is not here: upload it, then submit again", blob.digest);
                    return Err(Error::new(Code::MissingBlob, message));
                }
            }
        }
        let start = self.blobs.start(order.module.digest, module::START).await?;
        if !start.starts_with(WASM) {
            let message = "the module is not WebAssembly: build it for wasm32-wasip1 and upload the .wasm file";
            return Err(Error::new(Code::NotAModule, message));
        }
        if order.limits.cpu_ms <= Limits::CPU_MS_WITHOUT_CHECKPOINTS || module::can_sync(&start) {
            return Ok(());
        }
        Err(bad(format!(
            "the program never calls fd_sync, so that a kill costs all that it computed: its limit is {} CPU seconds \
             instead of {}. Ask for less in more tasks, or sync a file in /state",
            Limits::CPU_MS_WITHOUT_CHECKPOINTS / 1_000,
            order.limits.cpu_ms / 1_000
        )))
    }

    /// A job's state.
    ///
    /// # Errors
    /// `unknown_job`.
    pub async fn job_status(&self, job: JobId) -> Result<JobStatus> {
        let mut status = self.store.job(job).await?.ok_or_else(|| unknown(job))?;
        status.running = self.board().job_running(job).min(status.waiting);
        status.waiting -= status.running;
        Ok(status)
    }
}

pub(crate) fn unknown(job: JobId) -> Error {
    Error::new(Code::UnknownJob, format!("there is no job {job} here"))
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Code::BadOrder, message)
}

/// A shortage may only be that a new deposit could not be seen.
fn explain(error: Error, reach: &std::result::Result<(), ChainError>) -> Error {
    match reach {
        Err(chain) if error.code == Code::InsufficientEscrow => Error::new(
            Code::ChainUnavailable,
            format!("{error}. A newer deposit could not be seen, since {chain}: try again later"),
        ),
        _ => error,
    }
}

fn check_program(order: &SubmitJob) -> Result<()> {
    let shown = |c: char| !c.is_control();
    if !(1..=100).contains(&order.name.chars().count()) || !order.name.chars().all(shown) {
        return Err(bad("a job's name has 1 to 100 characters, none of them control characters"));
    }
    let arg_bytes: usize = order.args.iter().map(String::len).sum();
    if order.args.len() > MOST_ARGS || arg_bytes > MOST_ARG_BYTES || order.args.iter().any(|arg| arg.contains('\0')) {
        return Err(bad(format!("at most {MOST_ARGS} arguments of {MOST_ARG_BYTES} bytes in all, without zero bytes")));
    }
    let names: HashSet<_> = order.data.iter().map(|data| data.name.as_str()).collect();
    if order.data.len() > MOST_DATA_SETS
        || names.len() != order.data.len()
        || !names.iter().all(|name| valid_data_name(name))
    {
        return Err(bad(format!(
            "at most {MOST_DATA_SETS} data sets, each with a name of its own from letters, digits, . _ -"
        )));
    }
    let limits = &order.limits;
    let sizes = [limits.output_bytes, limits.log_bytes, limits.files_bytes];
    if limits.memory_bytes > MOST_MEMORY || limits.cpu_ms == 0 || sizes.iter().any(|size| *size > MAX_BLOB) {
        let message = format!(
            "limits: memory at most {MOST_MEMORY} bytes, output, log and files at most {MAX_BLOB} each, some CPU time"
        );
        return Err(bad(message));
    }
    Ok(())
}
