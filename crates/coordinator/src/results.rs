//! Taking results: checked against their signature and their output before they count.

use std::sync::Arc;

use futures::TryStreamExt;
use surge_protocol::api::{LeaseId, ResultReply, SignedResult};
use surge_protocol::epoch::ResultBody;
use surge_protocol::outcome::ResultHasher;
use surge_protocol::{Address, Digest};

use crate::blobs;
use crate::board::Voted;
use crate::clock::Millis;
use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};
use crate::session::wrong_signature;
use crate::store::{Delivered, Delivery, Held, Verdict};

impl Coordinator {
    /// Records a node's result. When this returns, it is on disk. Saying it twice has the effect of once.
    ///
    /// # Errors
    /// `wrong_signature`, `unknown_lease`, `not_yours`, `bad_result`, `missing_blob`, `wrong_digest`, `result_conflict`,
    /// `task_decided`, `deadline_passed`.
    pub async fn deliver(self: &Arc<Self>, node: Address, lease: LeaseId, signed: SignedResult) -> Result<ResultReply> {
        let result = &signed.result;
        if result.lease != lease {
            return Err(Error::new(Code::BadResult, "the result names another lease than the address"));
        }
        signed.signature.verify(&result.message(), &self.domain, node).map_err(|error| wrong_signature(&error))?;
        let held = self.store.lease(lease, node).await?;
        belongs(result, &held)?;
        let output_size = if result.outcome.votes(&result.code) { self.check_output(result, &held).await? } else { 0 };
        let delivery = Delivery { node, signed, output_size, now: self.now(), limits: self.rules.failures };
        self.finish(move |this| async move { this.record(held, delivery).await }).await
    }

    /// The size of the output, if the result's digest follows from it.
    async fn check_output(&self, result: &ResultBody, held: &Held) -> Result<u64> {
        let size = self.blobs.size(result.output).await?.ok_or_else(|| missing(result.output))?;
        if size > held.output_bytes {
            let message = format!("the output has {size} bytes, the task allows {}", held.output_bytes);
            return Err(Error::new(Code::BadResult, message));
        }
        let mut hasher = ResultHasher::new(result.outcome, &result.code);
        if size > 0 {
            let mut pieces = self.blobs.get(result.output, None).await?.bytes;
            while let Some(piece) = pieces.try_next().await.map_err(|error| blobs::failed(&error))? {
                hasher.update(&piece);
            }
        }
        let actual = hasher.finish();
        if actual == result.digest {
            return Ok(size);
        }
        let message = format!("outcome, code and output make the digest {actual}, the result says {}", result.digest);
        Err(Error::new(Code::WrongDigest, message))
    }

    async fn record(self: Arc<Self>, held: Held, delivery: Delivery) -> Result<ResultReply> {
        let (now, digest) = (delivery.now, delivery.signed.result.digest);
        let delivered = self.store.deliver(delivery).await?;
        let vote = Voted { node: held.node, payout: held.payout, digest };
        match delivered {
            Delivered::Again => return Ok(ResultReply { recorded: true }),
            Delivered::NoVote(returned) => self.ended(held.lease, held.node, &returned, now),
            Delivered::Vote => self.board().voted(held.task, Some(held.lease), vote, now),
            Delivered::Judged(verdict) => {
                self.board().voted(held.task, Some(held.lease), vote, now);
                self.judged(&verdict, now);
            }
        }
        self.changed();
        Ok(ResultReply { recorded: true })
    }

    /// Makes the board follow a stored verdict, and says what a person may want to know.
    pub(crate) fn judged(&self, verdict: &Verdict, now: Millis) {
        self.board().judged(verdict, now);
        for fault in &verdict.faults {
            let (task, node, faults) = (verdict.task, fault.node, fault.count);
            tracing::info!(%task, %node, faults, "A result was wrong: unpaid, the node should check its memory");
        }
        for node in &verdict.astray {
            let task = verdict.task;
            tracing::info!(%task, %node, "A result that went on from a checkpoint was wrong: its job makes no more of them");
        }
        tracing::debug!(task = %verdict.task, decided = verdict.decided, job_ended = verdict.job_ended, "Verdict");
        self.changed();
    }
}

fn belongs(result: &ResultBody, held: &Held) -> Result<()> {
    if result.task != held.task {
        return Err(Error::new(Code::BadResult, "the result is of another task than its lease"));
    }
    if !result.outcome.can_have(&result.code) {
        let message = format!("there is no outcome {} with the code {}", result.outcome.name(), result.code);
        return Err(Error::new(Code::BadResult, message));
    }
    if result.runtime_class != held.runtime_class {
        let message =
            format!("the lease was given to the runtime class {}, the result is of another", held.runtime_class);
        return Err(Error::new(Code::BadResult, message));
    }
    if result.resumed && !held.checkpoints {
        let message =
            "the lease said that this job's tasks begin at their beginning: its checkpoints led astray before";
        return Err(Error::new(Code::BadResult, message));
    }
    Ok(())
}

fn missing(digest: Digest) -> Error {
    Error::new(Code::MissingBlob, format!("the output {digest} is not here: upload it before its result"))
}
