//! Claims and withdrawals that survive any crash, and the balance.
//!
//! The journal is written before each step, one payment is under way at a time, and a signed transaction is only ever sent
//! again as it is: whatever happens in between, nobody is paid twice and nothing is lost. The wallet's own ETH pays the
//! gas. Deliberately absent: relayers, speeding up or cancelling what is sent, HTTP to a coordinator.

mod balance;
mod drive;

use std::path::Path;
use std::sync::Arc;

use surge_protocol::api::Settled;
use surge_protocol::network::Network;
use surge_protocol::{Amount, B256};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::chain::{Chain, ChainError, Timing};
use crate::journal::{Draft, Journal, JournalError};
use crate::payment::{Kind, Payment, State, Step};
use crate::tx::Call;
use crate::{AddressError, Recipient, Wallet};
pub use balance::Balance;

/// A wallet's money on one network.
#[derive(Debug)]
pub struct Money {
    wallet: Arc<Wallet>,
    network: Network,
    chain: Chain,
    journal: Journal,
    one_at_a_time: Mutex<()>,
}

/// A payment that is over, and well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    pub payment: Payment,
    /// This call found the same payment interrupted and brought it to its end, instead of paying again.
    pub resumed: bool,
}

/// Told of each step of a payment, after the journal has it.
pub type Steps<'a> = &'a mut (dyn FnMut(Step, &Payment) + Send);

/// Why money did not move. Unless a variant says otherwise, nothing was sent.
#[derive(Debug, Error)]
pub enum MoneyError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("an amount of zero moves nothing. Nothing was sent.")]
    ZeroAmount,
    #[error("the wallet holds {balance}, which is less than {amount}. Nothing was sent.")]
    NotEnough { balance: Amount, amount: Amount },
    #[error("there is nothing to claim: all {claimed} that is settled for this account was claimed before.")]
    NothingToClaim { claimed: Amount },
    #[error("epoch {0} is not final on the chain yet. Try again in a while.")]
    EpochNotFinal(u64),
    #[error(
        "the coordinator's proof does not lead to the root of epoch {0} on the chain, so nothing can be claimed with it. \
         Fetch it again; if it stays wrong, report it: the coordinator says something else than the chain."
    )]
    ProofRefused(u64),
    #[error(
        "the chain's node knows {chain} transactions of this account, and the wallet has sent {sent}: the node is behind. \
         Try again later, or with another RPC address."
    )]
    NodeBehind { chain: u64, sent: u64 },
    #[error(
        "transaction {tx} did not happen and cannot any more: another transaction of this account took its place. \
         Look whether another program uses the same words, then try again."
    )]
    Replaced { tx: B256 },
}

impl MoneyError {
    /// A stable word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Chain(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Address(error) => error.code(),
            Self::ZeroAmount => "amount_zero",
            Self::NotEnough { .. } => "amount_not_enough",
            Self::NothingToClaim { .. } => "claim_nothing",
            Self::EpochNotFinal(_) => "claim_not_final",
            Self::ProofRefused(_) => "claim_proof_refused",
            Self::NodeBehind { .. } => "chain_node_behind",
            Self::Replaced { .. } => "payment_replaced",
        }
    }
}

impl Money {
    /// Opens the journal in `folder` (the wallet's own), connects by `http` to the network's chain and looks once after what an
    /// earlier run left under way: a signed payment is sent again as it is.
    ///
    /// # Errors
    /// `Journal(Busy)` while another process uses the wallet; `Chain(Unreachable)`, `Chain(WrongChain)`.
    pub async fn open(
        wallet: impl Into<Arc<Wallet>>,
        http: reqwest::Client,
        network: &Network,
        folder: &Path,
        timing: Timing,
    ) -> Result<Self, MoneyError> {
        let wallet = wallet.into();
        let journal = Journal::open(folder, network.chain_id, wallet.address())?;
        let chain = Chain::connect(http, network, timing).await?;
        let money = Self { wallet, network: network.clone(), chain, journal, one_at_a_time: Mutex::new(()) };
        money.reconcile().await?;
        Ok(money)
    }

    #[must_use]
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Every payment of this account on this chain, newest first.
    ///
    /// # Errors
    /// `Journal`.
    pub fn payments(&self) -> Result<Vec<Payment>, MoneyError> {
        Ok(self.journal.payments()?)
    }

    /// Checks `text` as an address that money may be sent to.
    ///
    /// # Errors
    /// `Address`.
    pub fn recipient(&self, text: &str) -> Result<Recipient, MoneyError> {
        Ok(Recipient::parse(text, self.wallet.address(), &self.network)?)
    }

    /// Sends `amount` of the wallet's tokens to `to` and waits until that is final. The wallet's ETH pays the gas.
    ///
    /// When an earlier call for the same recipient and amount was interrupted, this one brings that payment to its end
    /// and pays nothing more: [`Paid::resumed`] says so.
    ///
    /// # Errors
    /// See [`MoneyError`]. After `Chain(Unconfirmed)` the payment is still under way.
    pub async fn withdraw(&self, to: Recipient, amount: Amount, steps: Steps<'_>) -> Result<Paid, MoneyError> {
        let _alone = self.one_at_a_time.lock().await;
        let to = to.address();
        let call = self.chain.transfer_call(to, amount);
        if let Some(paid) = self.resume(&call, steps).await? {
            return Ok(paid);
        }
        self.check_affordable(amount).await?;
        self.pay(Draft { kind: Kind::Withdraw, to, amount, epoch: None, call }, steps).await
    }

    /// Claims all that `settled` proves and was not claimed before, and waits until that is final. The wallet's ETH pays
    /// the gas.
    ///
    /// # Errors
    /// See [`MoneyError`].
    pub async fn claim(&self, settled: &Settled, steps: Steps<'_>) -> Result<Paid, MoneyError> {
        let _alone = self.one_at_a_time.lock().await;
        let call = self.chain.claim_call(settled.cumulative, settled.epoch, &settled.proof);
        if let Some(paid) = self.resume(&call, steps).await? {
            return Ok(paid);
        }
        let amount = self.claimable(settled).await?;
        if amount.is_zero() {
            return Err(MoneyError::NothingToClaim { claimed: settled.cumulative });
        }
        let to = self.wallet.address();
        self.pay(Draft { kind: Kind::Claim, to, amount, epoch: Some(settled.epoch), call }, steps).await
    }

    /// Pays `amount` of the wallet's tokens into its own escrow, as requester, and waits until that is final: an approval
    /// where one is missing, then the deposit. Interrupted, it is resumed like [`Money::withdraw`].
    ///
    /// # Errors
    /// See [`MoneyError`].
    pub async fn deposit(&self, amount: Amount, steps: Steps<'_>) -> Result<Paid, MoneyError> {
        let _alone = self.one_at_a_time.lock().await;
        let me = self.wallet.address();
        let call = self.chain.deposit_call(me, amount);
        if let Some(paid) = self.resume(&call, steps).await? {
            return Ok(paid);
        }
        self.check_affordable(amount).await?;
        let to = self.network.settlement;
        if self.chain.allowance(me).await? < amount {
            let call = self.chain.approve_call(amount);
            self.pay(Draft { kind: Kind::Approve, to, amount, epoch: None, call }, steps).await?;
        }
        self.pay(Draft { kind: Kind::Deposit, to, amount, epoch: None, call }, steps).await
    }

    async fn check_affordable(&self, amount: Amount) -> Result<(), MoneyError> {
        if amount.is_zero() {
            return Err(MoneyError::ZeroAmount);
        }
        let balance = self.chain.token_balance(self.wallet.address()).await?;
        if balance < amount { Err(MoneyError::NotEnough { balance, amount }) } else { Ok(()) }
    }

    /// What an interrupted call with the same `call` left, brought to its end. `None` when there is none that paid: then
    /// nothing is under way any more and the way is free.
    async fn resume(&self, call: &Call, steps: Steps<'_>) -> Result<Option<Paid>, MoneyError> {
        if let Some(open) = self.journal.open_payment()? {
            let same = open.data == call.data && Some(&open.contract) == call.to.to();
            match open.state {
                State::Draft if !same => self.abandon(&open, "another payment was asked for instead")?,
                _ if same => return self.finish(open, true, steps).await.map(Some),
                _ => drop(self.drive(open, steps).await?),
            }
        }
        let Some(ended) = self.journal.unacknowledged(call)? else { return Ok(None) };
        let ended = self.journal.acknowledge(ended.id)?;
        Ok((ended.state == State::Final).then_some(Paid { payment: ended, resumed: true }))
    }

    async fn pay(&self, draft: Draft, steps: Steps<'_>) -> Result<Paid, MoneyError> {
        let payment = self.journal.draft(&draft)?;
        steps(Step::Drafted, &payment);
        self.finish(payment, false, steps).await
    }

    /// Drives a payment to its end and reports it.
    async fn finish(&self, payment: Payment, resumed: bool, steps: Steps<'_>) -> Result<Paid, MoneyError> {
        let payment = self.drive(payment, steps).await?;
        let payment = self.journal.acknowledge(payment.id)?;
        let tx = payment.tx.unwrap_or_default();
        match payment.state {
            State::Failed => {
                let reason = payment.problem.unwrap_or_default();
                Err(ChainError::Failed { tx, reason }.into())
            }
            State::Replaced => Err(MoneyError::Replaced { tx }),
            _ => Ok(Paid { payment, resumed }),
        }
    }

    fn abandon(&self, payment: &Payment, why: &str) -> Result<(), MoneyError> {
        self.journal.end(payment.id, State::Abandoned, Some(why))?;
        self.journal.acknowledge(payment.id)?;
        Ok(())
    }
}
