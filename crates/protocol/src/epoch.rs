//! Receipts and epochs: what was computed, who is paid for it, and the two Merkle roots that settle it on chain.
//!
//! An epoch file holds every receipt of an epoch and the cumulative rows after it. [`EpochFile::check`] recomputes the
//! rows from the receipts, so that anybody can verify an epoch with this file and the one before.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::{JobId, LeaseId, TaskId};
use crate::merkle::{self, Side};
use crate::sign::{Key, SignatureError, Signed, TaskResult, Verdict, domain};
use crate::split::split;
use crate::{Amount, Code, Digest, Outcome};

/// What a node says that it computed. [`ResultBody::message`] is what it signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultBody {
    pub lease: LeaseId,
    pub task: TaskId,
    pub outcome: Outcome,
    pub code: Code,
    /// [`crate::outcome::result_digest`] over outcome, code and output.
    pub digest: Digest,
    /// The output's blob.
    pub output: Digest,
    pub runtime_class: String,
    /// Operators executed, under `meter: fuel`; else 0.
    pub fuel: u64,
    /// CPU time of the worker process, milliseconds. Informative: it does not vote.
    pub cpu_ms: u64,
    /// It went on from a checkpoint: where it is wrong, the program's checkpoints may be to blame.
    pub resumed: bool,
}

impl ResultBody {
    #[must_use]
    pub fn message(&self) -> TaskResult {
        TaskResult {
            lease: B256::from(self.lease.0),
            task: B256::from(self.task.0),
            digest: B256::from(self.digest.0),
            output: B256::from(self.output.0),
            runtimeClass: self.runtime_class.clone(),
            outcome: self.outcome.name().into(),
            code: self.code.to_string(),
            fuel: self.fuel,
            cpuMs: self.cpu_ms,
            resumed: self.resumed,
        }
    }
}

/// What decided a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmedBy {
    /// As many nodes as the order asked for agreed.
    Quorum,
    /// The coordinator ran the task itself.
    Replay,
}

/// One node's part in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub node: Address,
    pub payout: Address,
    pub result: ResultBody,
    /// The node's signature over `result`.
    pub signature: Signed,
    /// Whether this result is the true one. A rejected result earns nothing.
    pub accepted: bool,
    pub fee: Amount,
    pub net: Amount,
}

/// The coordinator's verdict on one task, with the split of the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub task: TaskId,
    pub job: JobId,
    /// Position of the task in its job.
    pub index: u64,
    pub requester: Address,
    pub module: Digest,
    pub input: Digest,
    /// The true result digest.
    pub digest: Digest,
    pub confirmed_by: ConfirmedBy,
    /// Price of one accepted execution.
    pub price: Amount,
    pub shares: Vec<Share>,
}

/// A receipt and the coordinator's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    pub receipt: Receipt,
    pub signature: Signed,
}

impl Receipt {
    fn message(&self) -> Verdict {
        let canonical = serde_json::to_vec(self).expect("a receipt has string keys only");
        Verdict { task: B256::from(self.task.0), receipt: B256::from(Digest::of(&canonical).0) }
    }

    /// Signs the receipt with the coordinator's key.
    #[must_use]
    pub fn sign(self, key: &Key, chain_id: u64, settlement: Address) -> SignedReceipt {
        let signature = key.sign(&self.message(), &domain(chain_id, settlement));
        SignedReceipt { receipt: self, signature }
    }

    /// What the requester owes for this task: the price of every accepted share.
    ///
    /// # Errors
    /// `Overflow` when the sum does not fit.
    pub fn debit(&self) -> Result<Amount, EpochError> {
        let accepted = self.shares.iter().filter(|share| share.accepted).count() as u64;
        self.price.checked_mul(accepted).ok_or(EpochError::Overflow)
    }
}

/// An account and all it was ever credited or debited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub account: Address,
    pub cumulative: Amount,
}

/// Everything that an epoch settles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochFile {
    pub chain_id: u64,
    pub settlement: Address,
    /// Counts from 1.
    pub epoch: u64,
    /// keccak256 of the previous epoch's file; zero for the first.
    pub previous: B256,
    pub coordinator_key: Address,
    pub treasury: Address,
    pub fee_bps: u16,
    /// In ascending order of task id.
    pub receipts: Vec<SignedReceipt>,
    /// Cumulative rows after this epoch, ascending by account.
    pub credits: Vec<Row>,
    pub debits: Vec<Row>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum EpochError {
    #[error("receipt of task {task}: {source}")]
    Signature { task: TaskId, source: SignatureError },
    #[error("task {0} is listed twice or out of order")]
    Order(TaskId),
    #[error("task {0}: a share's amounts are not the split of the price")]
    Split(TaskId),
    #[error("task {0}: a share is accepted although its digest differs from the receipt's, or the reverse")]
    Verdict(TaskId),
    #[error("the {0} rows do not follow from the receipts and the previous epoch")]
    Rows(&'static str),
    #[error("an amount overflows")]
    Overflow,
}

/// Cumulative amounts by account.
pub type Balances = BTreeMap<Address, Amount>;

/// Adds what `receipts` credit and debit to `credits` and `debits`.
///
/// # Errors
/// `Overflow` when a sum does not fit.
pub fn apply<'a>(
    receipts: impl IntoIterator<Item = &'a Receipt>,
    treasury: Address,
    credits: &mut Balances,
    debits: &mut Balances,
) -> Result<(), EpochError> {
    let add = |rows: &mut Balances, account: Address, amount: Amount| {
        let row = rows.entry(account).or_default();
        *row = row.checked_add(amount).ok_or(EpochError::Overflow)?;
        Ok(())
    };
    for receipt in receipts {
        add(debits, receipt.requester, receipt.debit()?)?;
        for share in receipt.shares.iter().filter(|share| share.accepted) {
            add(credits, share.payout, share.net)?;
            add(credits, treasury, share.fee)?;
        }
    }
    credits.retain(|_, amount| !amount.is_zero());
    debits.retain(|_, amount| !amount.is_zero());
    Ok(())
}

/// Balances as rows, ascending by account.
#[must_use]
pub fn rows(balances: &Balances) -> Vec<Row> {
    balances.iter().map(|(account, cumulative)| Row { account: *account, cumulative: *cumulative }).collect()
}

/// Rows as balances.
#[must_use]
pub fn balances(rows: &[Row]) -> Balances {
    rows.iter().map(|row| (row.account, row.cumulative)).collect()
}

impl EpochFile {
    /// The file's bytes: JSON without white space, fields in the order of this struct.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an epoch file has string keys only")
    }

    /// What the chain stores of the file.
    #[must_use]
    pub fn data_hash(&self) -> B256 {
        keccak256(self.to_bytes())
    }

    #[must_use]
    pub fn leaves(&self, side: Side) -> Vec<B256> {
        let rows = match side {
            Side::Credit => &self.credits,
            Side::Debit => &self.debits,
        };
        rows.iter().map(|row| merkle::leaf(self.chain_id, self.settlement, side, row.account, row.cumulative)).collect()
    }

    #[must_use]
    pub fn root(&self, side: Side) -> B256 {
        merkle::root(&self.leaves(side))
    }

    /// The sum of a side's cumulative rows.
    ///
    /// # Errors
    /// `Overflow` when it does not fit.
    pub fn total(&self, side: Side) -> Result<Amount, EpochError> {
        let rows = match side {
            Side::Credit => &self.credits,
            Side::Debit => &self.debits,
        };
        rows.iter().try_fold(Amount::ZERO, |sum, row| sum.checked_add(row.cumulative)).ok_or(EpochError::Overflow)
    }

    /// The cumulative credit of `account` and its proof against the credit root.
    #[must_use]
    pub fn credit_proof(&self, account: Address) -> Option<(Amount, Vec<B256>)> {
        let index = self.credits.iter().position(|row| row.account == account)?;
        Some((self.credits[index].cumulative, merkle::proof(&self.leaves(Side::Credit), index)))
    }

    /// Recomputes the epoch: every signature, verdict and split, and the rows from the previous epoch's rows.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn check(&self, previous: Option<&EpochFile>) -> Result<(), EpochError> {
        let mut last = None;
        for signed in &self.receipts {
            if last.is_some_and(|last| last >= signed.receipt.task) {
                return Err(EpochError::Order(signed.receipt.task));
            }
            last = Some(signed.receipt.task);
            self.check_receipt(signed)?;
        }
        let (mut credits, mut debits) =
            previous.map(|file| (balances(&file.credits), balances(&file.debits))).unwrap_or_default();
        apply(self.receipts.iter().map(|signed| &signed.receipt), self.treasury, &mut credits, &mut debits)?;
        if rows(&credits) != self.credits {
            return Err(EpochError::Rows("credit"));
        }
        if rows(&debits) != self.debits {
            return Err(EpochError::Rows("debit"));
        }
        Ok(())
    }

    fn check_receipt(&self, signed: &SignedReceipt) -> Result<(), EpochError> {
        let receipt = &signed.receipt;
        let domain = domain(self.chain_id, self.settlement);
        let named = |source| EpochError::Signature { task: receipt.task, source };
        signed.signature.verify(&receipt.message(), &domain, self.coordinator_key).map_err(named)?;
        for share in &receipt.shares {
            share.signature.verify(&share.result.message(), &domain, share.node).map_err(named)?;
            if share.accepted != (share.result.digest == receipt.digest) {
                return Err(EpochError::Verdict(receipt.task));
            }
            let due = if share.accepted { split(receipt.price, self.fee_bps) } else { split(Amount::ZERO, 0) };
            if (share.fee, share.net) != (due.fee, due.net) {
                return Err(EpochError::Split(receipt.task));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
