//! Brings one payment from where the journal has it to its end, one step at a time.
//!
//! Each turn does the one thing that is missing and writes it down; a crash between any two is followed by the same turn.

use crate::chain::{ChainError, Mined};
use crate::payment::{Payment, State, Step};
use crate::rpc::Poll;
use crate::tx::{Call, SignedTx, sign};

use super::{Money, MoneyError, Steps};

/// How often in a row the chain must say that another transaction has the payment's nonce while it has no receipt of
/// this one: a node may count a transaction an instant before it can show its receipt.
const LOOKS_FOR_REPLACED: u32 = 5;

/// What the chain knows of a submitted payment.
enum Sighting {
    Mined(Mined),
    /// In no block, and its nonce is free.
    Waiting,
    /// In no block, and its nonce is taken.
    NonceTaken,
}

impl Money {
    /// One look after what is under way, without waiting.
    pub(super) async fn reconcile(&self) -> Result<(), MoneyError> {
        let Some(payment) = self.journal.open_payment()? else { return Ok(()) };
        tracing::info!(id = payment.id, state = payment.state.name(), "An earlier payment is under way");
        match payment.state {
            State::Signed => {
                let payment = self.journal.submitted(payment.id)?;
                self.send(&payment).await?;
            }
            State::Submitted => match self.sight(&payment).await? {
                Sighting::Mined(mined) => {
                    self.journal.mined(payment.id, mined.block, mined.block_hash)?;
                }
                Sighting::Waiting => self.send(&payment).await?,
                Sighting::NonceTaken => {}
            },
            // Nothing was signed; or it is in a block, and whoever asks for it next confirms it.
            _ => {}
        }
        Ok(())
    }

    /// Drives `payment` until it is closed.
    pub(super) async fn drive(&self, mut payment: Payment, steps: Steps<'_>) -> Result<Payment, MoneyError> {
        let mut poll = Poll::new(self.chain.rpc.timing().mining);
        let mut taken = 0;
        while payment.state.is_open() {
            let next = match payment.state {
                State::Draft => Some(self.sign(&payment, steps).await?),
                State::Signed => Some(self.submit(&payment, steps).await?),
                State::Submitted => patient(self.confirm_mined(&payment, &mut taken, steps).await)?,
                _ => patient(self.confirm_final(&payment, steps).await)?,
            };
            match next {
                Some(next) => payment = next,
                None if poll.pause().await => {}
                None => return Err(self.unconfirmed(&payment).into()),
            }
        }
        Ok(payment)
    }

    fn unconfirmed(&self, payment: &Payment) -> ChainError {
        let seconds = self.chain.rpc.timing().mining.as_secs();
        ChainError::Unconfirmed { tx: payment.tx.unwrap_or_default(), seconds }
    }

    /// Signs a draft. What can't be signed is given up: nothing was sent.
    async fn sign(&self, draft: &Payment, steps: Steps<'_>) -> Result<Payment, MoneyError> {
        match self.signed(draft).await {
            Ok((nonce, tx)) => {
                let payment = self.journal.signed(draft.id, nonce, &tx)?;
                steps(Step::Signed, &payment);
                Ok(payment)
            }
            Err(error) => {
                self.abandon(draft, &error.to_string())?;
                Err(error)
            }
        }
    }

    async fn signed(&self, draft: &Payment) -> Result<(u64, SignedTx), MoneyError> {
        let rpc = &self.chain.rpc;
        let nonce = rpc.pending_nonce(draft.account).await?;
        // Every nonce in the journal was used up when its payment ended. A node that does not know that is behind, and
        // a payment signed with an old nonce could never happen.
        if let Some(highest) = self.journal.highest_nonce()?.filter(|highest| *highest >= nonce) {
            return Err(MoneyError::NodeBehind { chain: nonce, sent: highest + 1 });
        }
        let call = call_of(draft);
        let terms = rpc.terms(draft.account, &call, nonce).await?;
        Ok((nonce, sign(self.wallet.key(), rpc.chain_id(), &call, &terms)))
    }

    async fn submit(&self, payment: &Payment, steps: Steps<'_>) -> Result<Payment, MoneyError> {
        let payment = self.journal.submitted(payment.id)?;
        steps(Step::Submitted, &payment);
        self.send(&payment).await?;
        steps(Step::Sent, &payment);
        Ok(payment)
    }

    /// Hands the signed transaction to the chain, for the first time or again: it is the same transaction.
    async fn send(&self, payment: &Payment) -> Result<(), MoneyError> {
        let Some(raw) = &payment.raw else { return Ok(()) };
        match self.chain.rpc.broadcast(raw).await {
            // It, or what replaced it, is in a block; the next look tells which. And a node that is away may be back.
            Err(ChainError::Refused { message, .. }) if message.to_lowercase().contains("nonce too low") => Ok(()),
            Err(ChainError::Unreachable(reason)) => {
                tracing::warn!(%reason, id = payment.id, "The chain does not answer; the payment is sent again later");
                Ok(())
            }
            result => Ok(result?),
        }
    }

    async fn sight(&self, payment: &Payment) -> Result<Sighting, ChainError> {
        let rpc = &self.chain.rpc;
        let (Some(tx), Some(nonce)) = (payment.tx, payment.nonce) else { return Ok(Sighting::Waiting) };
        // The nonce first: a transaction that is mined between the two questions shows its receipt.
        let free = rpc.mined_nonce(payment.account).await? <= nonce;
        Ok(match rpc.mined(tx).await? {
            Some(mined) => Sighting::Mined(mined),
            None if free => Sighting::Waiting,
            None => Sighting::NonceTaken,
        })
    }

    /// `None`: look again later.
    async fn confirm_mined(
        &self,
        payment: &Payment,
        taken: &mut u32,
        steps: Steps<'_>,
    ) -> Result<Option<Payment>, MoneyError> {
        match self.sight(payment).await? {
            Sighting::Mined(mined) => {
                let payment = self.journal.mined(payment.id, mined.block, mined.block_hash)?;
                steps(Step::Mined, &payment);
                Ok(Some(payment))
            }
            Sighting::Waiting => {
                *taken = 0;
                self.send(payment).await?;
                Ok(None)
            }
            Sighting::NonceTaken if *taken < LOOKS_FOR_REPLACED => {
                *taken += 1;
                Ok(None)
            }
            Sighting::NonceTaken => Ok(Some(self.journal.end(payment.id, State::Replaced, None)?)),
        }
    }

    /// `None`: look again later. A block that is gone takes the payment back to where it was sent.
    async fn confirm_final(&self, payment: &Payment, steps: Steps<'_>) -> Result<Option<Payment>, MoneyError> {
        let rpc = &self.chain.rpc;
        let mined = rpc.mined(payment.tx.unwrap_or_default()).await?;
        let Some(mined) = mined.filter(|mined| Some(mined.block_hash) == payment.block_hash) else {
            return Ok(Some(self.journal.submitted(payment.id)?));
        };
        if !rpc.is_confirmed(&mined).await? {
            return Ok(None);
        }
        if !mined.success {
            let reason = rpc.failure(payment.account, &call_of(payment), &mined).await;
            return Ok(Some(self.journal.end(payment.id, State::Failed, Some(&reason))?));
        }
        let payment = self.journal.end(payment.id, State::Final, None)?;
        steps(Step::Final, &payment);
        Ok(Some(payment))
    }
}

/// A chain that does not answer is asked again until the time limit; the payment is safe meanwhile.
fn patient(result: Result<Option<Payment>, MoneyError>) -> Result<Option<Payment>, MoneyError> {
    match result {
        Err(MoneyError::Chain(ChainError::Unreachable(_))) => Ok(None),
        result => result,
    }
}

fn call_of(payment: &Payment) -> Call {
    Call { to: payment.contract.into(), data: payment.data.clone() }
}
